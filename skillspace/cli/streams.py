"""The three streams of one command line, and what the other side of them can do.

Every command gets one `Streams`; tests make their own. stdout is data, stderr is talk. Knows
nothing of commands, and never imports Rich.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Final, TextIO

from skillspace.core.errors import InvalidInput
from skillspace.core.text import t

STDIN_LIMIT_BYTES: Final = 4 * 2**20
"""More than any model reads; a pipe that never ends must not fill the memory."""


class Streams:
    """stdin, stdout and stderr with their terminal facts and the global options.

    Args:
        stdin, out, err: Text streams.
        environment: Usually `os.environ`.
        width: Columns of the terminal; None asks it, and 80 where there is none.

    Attributes:
        quiet: Only data and errors are shown.
        verbose: Details are shown on stderr, and errors with their stack trace.
        flags: Settings given by global options, by dotted key; the last source of settings.
    """

    def __init__(
        self,
        stdin: TextIO,
        out: TextIO,
        err: TextIO,
        environment: Mapping[str, str],
        width: int | None = None,
    ) -> None:
        self.stdin = stdin
        self.out = out
        self.err = err
        self.environment = environment
        self.stdin_is_tty = _is_tty(stdin)
        self.out_is_tty = _is_tty(out)
        self.err_is_tty = _is_tty(err)
        self.quiet = False
        self.verbose = False
        self.flags: dict[str, str] = {}
        self._width = width
        self._no_color = bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb"

    @classmethod
    def of_process(cls) -> "Streams":
        """Return the streams of this process."""
        return cls(sys.stdin, sys.stdout, sys.stderr, os.environ)

    def turn_color_off(self) -> None:
        """Obey `--no-color`."""
        self._no_color = True

    @property
    def color(self) -> bool:
        """Whether stdout takes colour: a terminal that is not dumb, and nobody said no."""
        return self.out_is_tty and not self._no_color

    @property
    def err_color(self) -> bool:
        """Whether stderr takes colour."""
        return self.err_is_tty and not self._no_color

    @property
    def width(self) -> int:
        """Columns of the terminal, at least 20; 80 where stdout is none."""
        if self._width is None:
            self._width = max(20, self._size()[0])
        return self._width

    @property
    def height(self) -> int:
        """Lines of the terminal; 24 where stdout is none."""
        return self._size()[1]

    def _size(self) -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(self.out.fileno())
        except (OSError, ValueError):
            columns, lines = 80, 24
        return columns or 80, lines or 24

    def write(self, text: str) -> None:
        """Write data to stdout, as it is."""
        self.out.write(text)

    def say(self, text: str) -> None:
        """Tell the person something on stderr; silent under `--quiet`."""
        if not self.quiet:
            self._tell(text)

    def explain(self, text: str) -> None:
        """Tell a detail on stderr, under `--verbose` only."""
        if self.verbose:
            self._tell(text)

    def complain(self, text: str) -> None:
        """Tell an error on stderr, under `--quiet` too."""
        self._tell(text)

    def _tell(self, text: str) -> None:
        self.out.flush()
        self.err.write(f"{text}\n")
        self.err.flush()

    def read_all(self) -> str:
        """Read stdin to its end as UTF-8.

        Raises:
            InvalidInput: A byte is not UTF-8, and the message names its offset; or there is
                more than STDIN_LIMIT_BYTES.
        """
        buffer = getattr(self.stdin, "buffer", None)
        if buffer is None:
            return self.stdin.read()
        data: bytes = buffer.read(STDIN_LIMIT_BYTES + 1)
        if len(data) > STDIN_LIMIT_BYTES:
            raise InvalidInput(
                t("stdin has more than {limit} MiB.", limit=STDIN_LIMIT_BYTES // 2**20),
                hint=t("Give a part of it, for example with: head -c 1M"),
            )
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput(
                t("stdin is not UTF-8 text: byte {offset} is wrong.", offset=error.start),
                hint=t("Convert it first, for example with: iconv -f GB18030 -t UTF-8"),
                offset=error.start,
            ) from error

    def page(self, text: str) -> None:
        """Write a long text to stdout, through the pager if it does not fit a terminal.

        The pager is $PAGER, else `less`; an empty one or `cat`
        turns paging off.
        """
        if not self.out_is_tty or text.count("\n") < self.height:
            self.write(text)
            return
        import shlex
        import shutil
        import subprocess

        command = shlex.split(self.environment.get("PAGER", "less"))
        program = shutil.which(command[0]) if command else None
        if program is None or command[0] == "cat":
            self.write(text)
            return
        # -R passes colour, -F ends at once if it fits after all, -X leaves the text on screen.
        environment = {"LESS": "FRX", **self.environment}
        self.out.flush()
        with _interrupts_left_to_pager():
            subprocess.run(  # noqa: S603  # the pager is the user's own choice
                [program, *command[1:]], input=text.encode(), env=environment, check=False
            )


@contextlib.contextmanager
def _interrupts_left_to_pager() -> Iterator[None]:
    """Pass over Ctrl-C, which means something to a pager, and must not end us before it ends.

    A handler that does nothing, unlike SIG_IGN, is not inherited by the pager.
    """
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _is_tty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False
