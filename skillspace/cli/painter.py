"""Repaints the end of what was printed, so that a line may change until it is settled.

Turns two lists of lines into the shortest text that makes a terminal show them; the caller
writes it. Moves only up and down within its own lines, asks the terminal nothing, and keeps no
mode switched on between two paints, so that a killed process leaves a usable terminal.
"""

import re
from collections.abc import Sequence
from typing import Final

from skillspace.cli.output import display_width

# Source: ECMA-48, 5th edition: CUU (8.3.22), EL (8.3.41), ED (8.3.39); DEC STD 070: DECAWM.
_UP: Final = "\x1b[{rows}A"
_CLEAR_TO_LINE_END: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\x1b[J"
# A terminal that finds a character wider than we do cuts the line instead of adding a row.
_NO_WRAP: Final = "\x1b[?7l"
_WRAP: Final = "\x1b[?7h"
_COLORS: Final = re.compile(r"\x1b\[[0-9;]*m")


class Painter:
    """The lines at the end of the output that may still change.

    Args:
        columns: Of the terminal at the beginning.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._live: list[str] = []

    def paint(self, settled: Sequence[str], live: Sequence[str], columns: int) -> str:
        """Return what to write so that `settled` and then `live` stand where `live` stood before.

        Args:
            settled: Lines that are never touched again.
            live: Lines that the next paint may change; fewer than the terminal is high.
            columns: Of the terminal now.
        """
        lines = [*settled, *live]
        before = self._live
        same = 0
        if columns == self._columns:
            while same < min(len(lines), len(before)) and lines[same] == before[same]:
                same += 1
        rows = self._rows(before[same:], columns)
        self._live = list(live)
        self._columns = columns
        if same == len(lines) == len(before):
            return ""
        # What was typed meanwhile, such as `^C`, may have moved the cursor within its line.
        parts = [_NO_WRAP, "\r"]
        if rows:
            parts.append(_UP.format(rows=rows))
        parts += [f"{line}{_CLEAR_TO_LINE_END}\n" for line in lines[same:]]
        if len(before) > len(lines) or rows > len(before) - same:
            parts.append(_CLEAR_BELOW)
        parts.append(_WRAP)
        return "".join(parts)

    def leave(self) -> str:
        """Return what clears the line below the lines of keys that were echoed there."""
        return f"\r{_CLEAR_TO_LINE_END}"

    def _rows(self, lines: Sequence[str], columns: int) -> int:
        """Return the rows these lines take: a terminal made narrower breaks its long lines."""
        if columns >= self._columns:
            return len(lines)
        widths = (display_width(_COLORS.sub("", line)) for line in lines)
        return sum(max(1, -(-width // columns)) for width in widths)
