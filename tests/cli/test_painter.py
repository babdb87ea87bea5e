"""The painter makes a terminal show the right lines, with as few codes as can be."""

import re

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st

from skillspace.cli.painter import Painter

FRAMES = st.lists(
    st.tuples(
        st.lists(st.text("ab中 ", max_size=12), max_size=4),
        st.lists(st.text("ab中 ", max_size=12), max_size=6),
    ),
    max_size=8,
)


def screen_of(written: str, columns: int = 40, rows: int = 10) -> tuple[list[str], list[str]]:
    """Return the lines above and on the screen of a terminal that was written to."""
    screen = pyte.HistoryScreen(columns, rows, history=1000)
    stream = pyte.Stream(screen)
    # A real terminal's line discipline does this.
    stream.feed(written.replace("\n", "\r\n"))
    above = ["".join(line[i].data for i in range(columns)) for line in screen.history.top]
    return [line.rstrip() for line in above], [line.rstrip() for line in screen.display]


def bare(lines: list[str]) -> str:
    """Return lines without spaces and without empty lines at the end."""
    return "\n".join(line.replace(" ", "") for line in lines).rstrip("\n")


@settings(max_examples=200, deadline=None)
@given(frames=FRAMES)
def test_screen_shows_settled_then_live(frames: list[tuple[list[str], list[str]]]) -> None:
    """After every paint the terminal shows all settled lines and then the live ones."""
    painter = Painter(40)
    written = ""
    shown: list[str] = []
    for settled, live in frames:
        written += painter.paint(settled, live, 40)
        shown += settled
        above, screen = screen_of(written)
        assert bare([*above, *screen]) == bare([*shown, *live])


def test_same_lines_write_nothing() -> None:
    """A frame that changes nothing writes nothing."""
    painter = Painter(40)
    assert painter.paint([], ["a", "b"], 40)
    assert painter.paint([], ["a", "b"], 40) == ""


def test_only_changed_lines_are_written() -> None:
    """Lines above the first change are not written again, settled or not."""
    painter = Painter(40)
    painter.paint([], ["one", "two", "three"], 40)
    written = painter.paint(["one"], ["two", "new"], 40)
    assert "new" in written
    assert "one" not in written
    assert "two" not in written


def test_narrower_terminal_is_cleared_of_broken_lines() -> None:
    """When a terminal became narrower and broke the live lines, all their rows are replaced."""
    painter = Painter(40)
    painter.paint([], ["x" * 30, "y"], 40)
    written = painter.paint([], ["z"], 20)
    assert "\x1b[3A" in written
    assert "\x1b[J" in written


def test_no_mode_stays_on() -> None:
    """Line wrapping is on again at the end of every paint, so a killed process does no harm."""
    written = Painter(40).paint(["a"], ["b"], 40)
    assert re.findall(r"\x1b\[\?7[lh]", written) == ["\x1b[?7l", "\x1b[?7h"]
    assert written.endswith("\x1b[?7h")
