"""Two ways to call the command line: in this process on buffers, and as a real process."""

import contextvars
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from skillspace.cli.main import run_command_line
from skillspace.cli.streams import Streams

ROOT = Path(__file__).parents[2]


class Done(NamedTuple):
    """What a command line left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A buffer that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment of its own: nothing is read from or written to the user's home."""
    return {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "SKILLSPACE_HOME": str(tmp_path / "space"),
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
    }


@pytest.fixture
def home(environment: dict[str, str]) -> Path:
    """Return the folder that SKILLSPACE_HOME names; not made yet."""
    return Path(environment["SKILLSPACE_HOME"])


@pytest.fixture
def ask(environment: dict[str, str]) -> Callable[..., Done]:
    """Return a function that runs a command line in this process, on buffers."""

    def run(
        *args: str, stdin: str = "", tty: bool = False, width: int = 80, **variables: str
    ) -> Done:
        kind = Terminal if tty else io.StringIO
        streams = Streams(
            kind(stdin), kind(), kind(), {**environment, **variables}, width=width if tty else None
        )
        # The language is a context variable: a copy keeps it from the next test.
        code = contextvars.copy_context().run(run_command_line, args, streams)
        assert isinstance(streams.out, io.StringIO)
        assert isinstance(streams.err, io.StringIO)
        return Done(code, streams.out.getvalue(), streams.err.getvalue())

    return run


@pytest.fixture
def call(environment: dict[str, str]) -> Callable[..., Done]:
    """Return a function that runs a command line as a real process, on pipes."""

    def run(*args: str, stdin: str = "", **variables: str) -> Done:
        return call_python("-m", "skillspace", *args, env={**environment, **variables}, stdin=stdin)

    return run


def call_python(*args: str, env: Mapping[str, str], stdin: str = "") -> Done:
    """Run this Python with arguments."""
    done = subprocess.run(
        [sys.executable, *args],
        input=stdin,
        env=dict(env),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def loaded_modules(environment: dict[str, str]) -> Callable[..., set[str]]:
    """Return a function that runs a command line and says which modules it loaded."""

    def run(*args: str, **variables: str) -> set[str]:
        program = (
            "import sys; sys.argv = ['skillspace', *sys.argv[1:]]\n"
            "from skillspace.__main__ import main\n"
            "code = main()\n"
            "sys.stderr.write('\\n'.join(['MODULES', *sys.modules]))\n"
            "sys.exit(code)\n"
        )
        done = call_python("-c", program, *args, env={**environment, **variables})
        said, mark, modules = done.err.partition("MODULES\n")
        assert mark, said
        return set(modules.split("\n"))

    return run
