"""A process in a pseudo-terminal, and what a person would see on its screen."""

import contextlib
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import termios
from collections.abc import Mapping, Sequence

import pyte

# Only ends a test that would hang for ever; no test depends on how long something takes.
PATIENCE_S = 120.0


class ScreenProcess:
    """A program on a terminal of its own; a context manager, which ends it.

    Args:
        args: Program and arguments.
        environment: All of it.
        columns, rows: Of the terminal.
    """

    def __init__(
        self,
        args: Sequence[str],
        environment: Mapping[str, str],
        columns: int = 60,
        rows: int = 16,
    ) -> None:
        self.written = ""
        self.screen = pyte.HistoryScreen(columns, rows, history=2000)
        # A terminal answers when it is asked where its cursor is.
        self.screen.write_process_input = self.type
        self._stream = pyte.Stream(self.screen)
        self._rest = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            # The size must be there before the program asks for it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvpe(args[0], list(args), {**environment, "TERM": "xterm-256color"})

    def __enter__(self) -> "ScreenProcess":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._master)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def resize(self, columns: int, rows: int) -> None:
        """Make the terminal another size."""
        self.screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def lines(self) -> list[str]:
        """Return the lines above the screen and on it, without spaces at their ends."""
        columns = self.screen.columns
        above = ["".join(line[i].data for i in range(columns)) for line in self.screen.history.top]
        return [line.rstrip() for line in [*above, *self.screen.display]]

    def text(self) -> str:
        """Return what can be seen, scrolled away or not."""
        return "\n".join(self.lines()).rstrip("\n")

    def wait_for(self, text: str) -> None:
        """Read until a text can be seen."""
        while text not in self.text():
            assert self._read(), f"{text!r} never came:\n{self.text()}"

    def wait_for_last(self, text: str) -> None:
        """Read until the last line that can be seen begins with a text."""
        while not self.text().rpartition("\n")[2].startswith(text):
            assert self._read(), f"{text!r} never came last:\n{self.text()}"

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def wait(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        """Read what is there; False at the end."""
        ready, _, _ = select.select([self._master], [], [], PATIENCE_S)
        assert ready, f"nothing more came:\n{self.text()}"
        try:
            data = os.read(self._master, 65536)
        except OSError as error:
            # Linux says EIO when the other side is closed.
            if error.errno != errno.EIO:
                raise
            return False
        self._rest += data
        text = self._rest.decode("utf-8", errors="ignore")
        self._rest = self._rest[len(text.encode()) :]
        self.written += text
        self._stream.feed(text)
        return bool(data)
