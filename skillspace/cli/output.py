"""How commands show what they found: tables, records and JSON on stdout, talk on stderr.

A terminal, a pipe and a file get the same text, bar colour and the cutting of long cells to
a terminal's width. Everything shown is cleaned of escape codes. Never asks a service.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from skillspace.cli.clean import safe_json, safe_line, safe_text
from skillspace.cli.streams import Streams
from skillspace.core.errors import InvalidInput
from skillspace.core.text import t

GAP = "  "
BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"


def show_json(streams: Streams, value: object) -> None:
    """Print any value or struct as indented JSON with one newline at its end."""
    import msgspec

    encoded = msgspec.json.encode(value)
    streams.write(safe_json(msgspec.json.format(encoded, indent=2).decode()) + "\n")


def show_json_line(streams: Streams, value: object) -> None:
    """Print a value as one line of JSON and flush it, for streams of objects."""
    import msgspec

    streams.write(safe_json(msgspec.json.encode(value).decode()) + "\n")
    streams.out.flush()


def show_table(
    streams: Streams,
    titles: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    empty: str = "",
    right: Sequence[int] = (),
) -> None:
    """Print rows under titles, columns aligned by what a terminal shows.

    Args:
        streams: Where to.
        titles: One per column.
        rows: Cells as values; None is shown as nothing, a time in local time. On a terminal
            the widest cells are cut so that a row fits its width.
        empty: Said on stderr when there is no row; stdout then stays empty.
        right: Numbers of the columns, from 0, that are set flush right.
    """
    cells = [[show_value(cell) for cell in row] for row in rows]
    if not cells:
        if empty:
            streams.say(empty)
        return
    lines = [list(titles), *cells]
    widths = [max(display_width(line[i]) for line in lines) for i in range(len(titles))]
    if streams.out_is_tty:
        widths = _fit(widths, streams.width - len(GAP) * (len(widths) - 1))
    shown = []
    for number, line in enumerate(lines):
        parts = [
            pad(cut(cell, width), width, right=i in right)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text = GAP.join(parts).rstrip()
        shown.append(paint(text, BOLD, streams.color) if number == 0 else text)
    streams.page("\n".join(shown) + "\n")


def show_record(streams: Streams, record: Mapping[str, object]) -> None:
    """Print one thing, a line per field: its title, then its value."""
    width = max((display_width(title) for title in record), default=0)
    for title, value in record.items():
        label = paint(pad(title, width), BOLD, streams.color)
        streams.write(f"{label}{GAP}{show_value(value)}".rstrip() + "\n")


def show_text(streams: Streams, text: str) -> None:
    """Print a long text, cleaned, through the pager on a terminal; ends in one newline."""
    streams.page(safe_text(text).rstrip("\n") + "\n")


def confirm(streams: Streams, question: str, *, yes: bool) -> bool:
    """Ask for a yes before something that cannot be undone.

    Args:
        streams: The question goes to stderr, the answer comes from stdin.
        question: Ends with a question mark.
        yes: What `--yes` says; True asks nothing.

    Raises:
        InvalidInput: There is no terminal to ask on, and `--yes` was not given.
    """
    if yes:
        return True
    if not (streams.stdin_is_tty and streams.err_is_tty):
        raise InvalidInput(
            t("{question} There is no terminal to ask on.", question=question),
            hint=t("Give --yes to go ahead without being asked."),
        )
    streams.out.flush()
    streams.err.write(f"{question} [y/N] ")
    streams.err.flush()
    return streams.stdin.readline().strip().lower() in ("y", "yes", "是")


def show_value(value: object) -> str:
    """Return one cell: cleaned, on one line; nothing for None; local time to the second."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return t("yes") if value else t("no")
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return safe_line(str(value))


def paint(text: str, code: str, color: bool) -> str:
    """Wrap a text in an SGR colour, if colour is on."""
    return f"\x1b[{code}m{text}\x1b[0m" if color else text


def display_width(text: str) -> int:
    """Return how many columns a terminal uses for a text without control characters.

    Source: Unicode UAX #11: W and F take two columns; marks and joiners (Mn, Me, Cf) none.
    """
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill a text with spaces up to a display width."""
    space = " " * max(0, width - display_width(text))
    return space + text if right else text + space


def cut(text: str, width: int) -> str:
    """Shorten a text to a display width; what is left out shows as `…`."""
    if display_width(text) <= width:
        return text
    used = 0
    for i, character in enumerate(text):
        used += _columns(character)
        if used > width - 1:
            return text[:i] + "…"
    return text


def _fit(widths: list[int], space: int) -> list[int]:
    """Take columns from the widest until they fit; none below 8, or its own width."""
    widths = list(widths)
    while sum(widths) > space:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= 8:
            break
        widths[widest] -= 1
    return widths
