"""A pipe, a file and a terminal get the same; a long text goes through the pager."""

import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from skillspace.cli.streams import Streams
from tests.cli.conftest import Done, Terminal

Ask = Callable[..., Done]
COMMANDS = [
    ["--version"],
    ["--help"],
    ["config", "show"],
    ["config", "show", "--json"],
    ["config", "path"],
    ["config", "set", "--help"],
    ["completion", "bash"],
    ["session", "list"],
    ["task", "list", "--json"],
]


def in_terminal(args: list[str], environment: dict[str, str]) -> bytes:
    """Run a command line in a terminal of 200 columns and 500 lines; return what it shows."""
    control, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 500, 200, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "skillspace", *args],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
        env=environment,
    ):
        os.close(terminal)
        shown = b""
        while True:
            try:
                piece = os.read(control, 65536)
            except OSError:  # how Linux says that nobody holds the terminal any more
                break
            if not piece:
                break
            shown += piece
    os.close(control)
    return shown.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_pipe_file_and_terminal_agree(
    environment: dict[str, str], tmp_path: Path, args: list[str]
) -> None:
    """Wherever stdout leads, the bytes are the same bar colour."""
    command = [sys.executable, "-m", "skillspace", *args]
    environment = {**environment, "TERM": "xterm-256color", "TZ": "UTC"}
    piped = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    with (tmp_path / "out").open("wb") as file:
        subprocess.run(command, env=environment, stdout=file, check=True)
    shown = in_terminal(args, environment)
    assert (tmp_path / "out").read_bytes() == piped
    assert b"\x1b" not in piped
    if "--help" in args[1:]:
        # Built help is wrapped to the terminal it is read on.
        assert shown.split() == piped.split()
    else:
        assert re.sub(rb"\x1b\[[0-9;]*m", b"", shown) == piped


@pytest.mark.parametrize("args", COMMANDS[2:], ids=" ".join)
def test_quiet_says_nothing(call: Ask, args: list[str]) -> None:
    """Under --quiet stderr stays empty when nothing is wrong."""
    assert call("-q", *args).err == ""


def pager(tmp_path: Path) -> str:
    """Return a pager that keeps what it is given."""
    path = tmp_path / "pager"
    path.write_text(f'#!/bin/sh\ncat > "{tmp_path}/paged"\n')
    path.chmod(0o755)
    return str(path)


def test_a_long_text_is_paged_on_a_terminal(tmp_path: Path) -> None:
    """What does not fit the screen goes to $PAGER; what fits is printed."""
    streams = Streams(Terminal(), out := Terminal(), Terminal(), {"PAGER": pager(tmp_path)})
    streams.page("short\n")
    assert out.getvalue() == "short\n"
    long = "行\n" * 1000
    streams.page(long)
    assert out.getvalue() == "short\n"
    assert (tmp_path / "paged").read_text() == long


def test_an_interrupt_is_the_pagers(tmp_path: Path) -> None:
    """Ctrl-C at the pager reaches this process too, which waits for the pager all the same."""
    path = Path(pager(tmp_path))
    path.write_text(f'#!/bin/sh\nkill -INT $PPID\ncat > "{tmp_path}/paged"\n')
    before = signal.getsignal(signal.SIGINT)
    long = "x\n" * 1000
    Streams(Terminal(), Terminal(), Terminal(), {"PAGER": str(path)}).page(long)
    assert (tmp_path / "paged").read_text() == long
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("program", ["", "cat", "/no/such/pager"])
def test_paging_can_be_off(program: str) -> None:
    """Without a pager a long text is printed as it is."""
    streams = Streams(Terminal(), out := Terminal(), Terminal(), {"PAGER": program})
    streams.page("x\n" * 1000)
    assert out.getvalue() == "x\n" * 1000


def test_a_pipe_is_never_paged(tmp_path: Path) -> None:
    """A program that reads gets the text itself."""
    out = io.StringIO()
    Streams(io.StringIO(), out, io.StringIO(), {"PAGER": pager(tmp_path)}).page("x\n" * 1000)
    assert out.getvalue() == "x\n" * 1000


def test_a_first_start_makes_secrets(call: Ask, home: Path) -> None:
    """The first command that opens the space makes a secret key that only its owner reads."""
    assert call("session", "list").code == 0
    assert (home / "secrets.toml").stat().st_mode & 0o777 == 0o600
    assert call("config", "get", "secret_key").out == "********\n"


@pytest.mark.parametrize("args", [["session", "list"], ["task", "list"], ["resume", "list"]])
def test_a_home_that_cannot_be_written(call: Ask, args: list[str]) -> None:
    """Commands that need the space end with 3, the place and a remedy."""
    done = call(*args, SKILLSPACE_HOME="/sys/skillspace")
    assert (done.code, done.out) == (3, "")
    assert "/sys/skillspace" in done.err
    assert "SKILLSPACE_HOME=" in done.err


def test_a_typo_in_the_settings_stops_every_command(call: Ask, home: Path) -> None:
    """No command runs on settings that are not what their writer meant."""
    home.mkdir()
    (home / "config.toml").write_text("[chat]\ntemprature = 1\n")
    done = call("session", "list")
    assert done.code == 2
    assert f"{home}/config.toml:2:1" in done.err
    assert "Did you mean chat.temperature?" in done.err


def test_an_endless_pipe_is_refused() -> None:
    """More than four MiB on stdin is an error that says the limit, not a full memory."""
    program = (
        "from skillspace.cli.streams import Streams\n"
        "from skillspace.core.errors import InvalidInput\n"
        "try:\n"
        "    Streams.of_process().read_all()\n"
        "except InvalidInput as error:\n"
        "    print(error.message)\n"
    )
    with open("/dev/zero", "rb") as endless:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdin=endless,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert "4 MiB" in done.stdout
