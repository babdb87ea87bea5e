"""Programs on the other side of a real terminal."""

import os
import pty
import select
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

# Only ends a test that would hang for ever; no test depends on how long something takes.
PATIENCE_S = 120


class Keyboard:
    """Types into a terminal and reads what it shows.

    Args:
        control: The terminal's other end.
    """

    def __init__(self, control: int) -> None:
        self._control = control
        self._shown = b""

    def type(self, text: str) -> Self:
        """Press keys."""
        os.write(self._control, text.encode())
        return self

    def wait_for(self, text: str) -> Self:
        """Read until the terminal shows a text; what was read before it is forgotten."""
        wanted = text.encode()
        while wanted not in self._shown:
            ready, _, _ = select.select([self._control], [], [], PATIENCE_S)
            assert ready, f"no {text!r} in {self._shown!r}"
            self._shown += os.read(self._control, 65536)
        self._shown = self._shown.partition(wanted)[2]
        return self


@contextmanager
def terminal(args: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[Keyboard]:
    """Run an interactive program in a terminal of its own; it is killed at the end."""
    control, side = pty.openpty()
    with subprocess.Popen(
        args,
        stdin=side,
        stdout=side,
        stderr=side,
        env=dict(environment),
        cwd=folder,
        start_new_session=True,
    ) as process:
        os.close(side)
        try:
            yield Keyboard(control)
        finally:
            process.kill()
            process.wait()
            os.close(control)
