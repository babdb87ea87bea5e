"""`skillspace` as real processes on a home of their own, and disks that are small or read-only.

Nothing here waits for a time: a process is waited for, or what it prints. The patience only ends
a test which would hang for ever.
"""

import functools
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 120.0


class Done(NamedTuple):
    """What a process left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    def refused(self, code: int, *named: str) -> None:
        """Check that it gave nothing but a clear error: what, where, and what to do."""
        assert (self.code, self.out) == (code, ""), self
        error, hint = self.err.splitlines()
        assert error.startswith("error: "), self.err
        assert hint.startswith("hint: "), self.err
        assert len(hint) > len("hint: "), self.err
        for name in named:
            assert name in error, self.err


class CommandLine:
    """Runs `python -m skillspace` with everything beneath one folder.

    Args:
        home: Becomes SKILLSPACE_HOME; need not exist.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = home / "data" / "skillspace.db"
        self.environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "SKILLSPACE_HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
        }

    def start(self, *args: str | bytes, **variables: str) -> "subprocess.Popen[bytes]":
        """Start a command on pipes; use it in a `with` of `running`."""
        return subprocess.Popen(
            [sys.executable, "-m", "skillspace", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **variables},
            cwd=self.environment["PYTHONPATH"],
        )

    def run(self, *args: str | bytes, stdin: bytes = b"", **variables: str) -> Done:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "skillspace", *args],
            input=stdin,
            capture_output=True,
            env={**self.environment, **variables},
            cwd=self.environment["PYTHONPATH"],
            check=False,
            timeout=PATIENCE_S,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def read(self, *args: str) -> Any:
        """Run a command with `--json` and return what it printed."""
        done = self.run(*args, "--json")
        assert (done.code, done.err) == (0, ""), done
        return msgspec.json.decode(done.out)

    def turns(self, session: str = "last") -> list[tuple[str, str, str]]:
        """Return role, status and text of each message of a session, as another process shows."""
        messages = self.read("session", "show", session)["messages"]
        return [(turn["role"], turn["status"], turn["text"]) for turn in messages]

    def prepare(self) -> None:
        """Make the home, its secrets and its database."""
        assert self.run("session", "list").code == 0

    def is_sound(self) -> bool:
        """Look at the database file itself: structure and references."""
        with closing(sqlite3.connect(self.database)) as base:
            whole = base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return whole and not base.execute("PRAGMA foreign_key_check").fetchall()

    def files(self) -> dict[str, bytes]:
        """Return every file beneath the home."""
        return {
            str(path.relative_to(self.home)): path.read_bytes()
            for path in sorted(self.home.rglob("*"))
            if path.is_file()
        }


@contextmanager
def running(process: "subprocess.Popen[bytes]") -> "Iterator[subprocess.Popen[bytes]]":
    """Lend a process; whatever happens it is gone afterwards."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def read_some(process: "subprocess.Popen[bytes]", length: int = 1) -> bytes:
    """Return the first bytes of what a process prints, and at least so many."""
    assert process.stdout is not None
    shown = b""
    while len(shown) < length:
        piece = os.read(process.stdout.fileno(), 65536)
        assert piece, f"it ended after {shown!r}: {process.communicate()}"
        shown += piece
    return shown


def finish(process: "subprocess.Popen[bytes]", shown: bytes = b"") -> Done:
    """Wait for the end of a process and return all that it wrote."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return Done(process.returncode, (shown + out).decode(), err.decode())


def may_mount(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test where it may mount: as it is for root, else in a namespace of its own."""

    @functools.wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        if os.geteuid() == 0:
            test(*args, **fixtures)
            return
        name = os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")[0]
        own = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", *own],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@contextmanager
def disk(folder: Path, *options: str) -> Iterator[Path]:
    """Mount a disk in memory on a folder for the length of a block.

    Args:
        folder: Made if need be.
        options: Such as `size=1m` and `ro`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(*args: str) -> None:
    """Call mount."""
    program = shutil.which("mount")
    assert program, "mount is needed: install util-linux"
    subprocess.run([program, *args], check=True)


def copy_of(folder: Path, target: Path, changed: Sequence[tuple[str, bytes]] = ()) -> Path:
    """Copy a model folder and write these of its files anew."""
    shutil.copytree(folder, target)
    for name, content in changed:
        (target / name).write_bytes(content)
    return target
