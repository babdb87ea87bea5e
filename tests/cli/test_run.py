"""Errors and signals become lines and exit codes."""

import errno
import io
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from skillspace.cli.commands import build_command, new_group
from skillspace.cli.exits import exit_code
from skillspace.cli.run import run_command
from skillspace.cli.streams import Streams
from skillspace.core.errors import SkillSpaceError, every_error
from skillspace.core.storage import storage_error, writing


def run_raising(error: BaseException, *args: str) -> tuple[int, str]:
    """Run a command that raises, and return its exit code and stderr."""
    app = new_group("")

    @app.command()
    def fail(json: bool = False) -> None:
        raise error

    streams = Streams(io.StringIO(), io.StringIO(), err := io.StringIO(), {})
    code = run_command(build_command(app.registered_commands[0]), list(args), streams)
    return code, err.getvalue()


@pytest.mark.parametrize("error", list(every_error()), ids=lambda error: error.__name__)
def test_every_error_is_one_line_and_its_code(error: type[SkillSpaceError]) -> None:
    """Whatever is raised, a person gets a line and a script gets a code."""
    code, err = run_raising(error("It broke.", hint="Mend it."))
    assert code == exit_code(error)
    assert err == "error: It broke.\nhint: Mend it.\n"


def test_a_mistake_of_ours_has_no_stack_trace() -> None:
    """An unexpected exception is a line and exit code 1."""
    code, err = run_raising(ZeroDivisionError("division by zero"))
    assert code == 1
    assert err.startswith("error: Something unexpected went wrong: ZeroDivisionError: division")
    assert "Traceback" not in err
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort(), EOFError()])
def test_interrupts_are_130(error: BaseException) -> None:
    """Ctrl-C and Ctrl-D end with 130 and say nothing."""
    assert run_raising(error) == (130, "")


def test_a_command_may_choose_its_code() -> None:
    """typer.Exit carries a code through."""
    assert run_raising(typer.Exit(7)) == (7, "")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "cannot be opened or written"),
    ],
)
def test_a_disk_that_refuses_is_unavailable(number: int, words: str) -> None:
    """Full, read-only and forbidden disks end with 3, the path and a remedy."""
    code, err = run_raising(OSError(number, os.strerror(number), "/data/x"))
    assert code == 3
    assert words in err
    assert "/data/x" in err
    assert "hint: " in err


def test_sqlite_says_what_the_disk_said(tmp_path: Path) -> None:
    """A full database file is a full disk, however deep the error is wrapped."""
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    connection.execute("PRAGMA max_page_count = 2")
    connection.execute("CREATE TABLE a (b)")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("INSERT INTO a VALUES (zeroblob(100000))")
    connection.close()
    wrapped = RuntimeError("driver")
    wrapped.__cause__ = caught.value
    known = storage_error(wrapped, tmp_path / "x.db")
    assert known is not None
    assert "full" in known.message
    assert "x.db" in known.message


def test_other_errors_are_left_alone(tmp_path: Path) -> None:
    """What is not about a disk stays what it is."""
    assert storage_error(ConnectionRefusedError(errno.ECONNREFUSED, "no")) is None
    assert storage_error(ValueError()) is None
    with pytest.raises(FileNotFoundError), writing(tmp_path):
        (tmp_path / "missing").read_text()


PROGRAM = """
import asyncio, io, os, sys
from skillspace.cli.run import on_interrupt, run_async

async def work():
    print("ready", flush=True)
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        print("cleaned", flush=True)
        if sys.argv[1] == "stuck":
            await asyncio.sleep(600)
        raise

async def answer():
    stopped = asyncio.Event()
    for _ in range(2):
        with on_interrupt(stopped.set):
            print("ready", flush=True)
            await stopped.wait()
            stopped.clear()
            print("stopped", flush=True)

try:
    run_async(answer if sys.argv[1] == "answer" else work)
except KeyboardInterrupt:
    sys.exit(130)
"""


def interrupt(environment: dict[str, str], kind: str, waits: list[bytes]) -> tuple[int, bytes]:
    """Run the program above; send SIGINT after each line that is waited for."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, kind], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for line in waits:
            assert process.stdout.readline() == line
            process.send_signal(signal.SIGINT)
        return process.wait(30), process.stdout.read()


def test_ctrl_c_lets_the_work_end_in_order(environment: dict[str, str]) -> None:
    """The first Ctrl-C cancels the work, which cleans up; the code is 130."""
    assert interrupt(environment, "work", [b"ready\n"]) == (130, b"cleaned\n")


def test_a_second_ctrl_c_ends_at_once(environment: dict[str, str]) -> None:
    """Work that does not end is left behind."""
    assert interrupt(environment, "stuck", [b"ready\n", b"cleaned\n"]) == (130, b"")


def test_ctrl_c_can_stop_one_answer_only(environment: dict[str, str]) -> None:
    """Where an answer is being given Ctrl-C stops it, again and again, and nothing else."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "answer"], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == b"stopped\n"
        assert process.wait(30) == 0
