"""Tables, records and questions, for people and for programs."""

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillspace.cli.helptext import wrap
from skillspace.cli.output import (
    confirm,
    cut,
    display_width,
    pad,
    show_json,
    show_record,
    show_table,
    show_value,
)
from skillspace.cli.streams import Streams
from skillspace.core.errors import InvalidInput
from tests.cli.conftest import Terminal

LETTERS = st.text(alphabet="ab c，。简历é😀", max_size=40)


def buffers(*, tty: bool = False, width: int = 40, stdin: str = "", **variables: str) -> Streams:
    """Return streams on buffers."""
    kind = Terminal if tty else io.StringIO
    return Streams(kind(stdin), kind(), kind(), variables, width=width)


def shown(streams: Streams) -> str:
    """Return what was written to stdout."""
    assert isinstance(streams.out, io.StringIO)
    return streams.out.getvalue()


ROWS = [[1, "简历", None], [22, "a\x1b[31m\nb", "x"]]


def test_a_table_lines_up_wide_characters() -> None:
    """Columns start at the same display column in every row; cells are clean and on one line."""
    streams = buffers()
    show_table(streams, ["ID", "Title", "Note"], ROWS, right=[0])
    assert shown(streams) == "ID  Title  Note\n 1  简历\n22  a b    x\n"


def test_a_terminal_gets_the_same_bytes_bar_colour() -> None:
    """What fits the width is the same text in a pipe and on a terminal."""
    pipe, plain, colored = buffers(), buffers(tty=True, NO_COLOR="1"), buffers(tty=True)
    for streams in (pipe, plain, colored):
        show_table(streams, ["ID", "Title", "Note"], ROWS)
    assert shown(pipe) == shown(plain)
    assert shown(colored) != shown(plain)
    assert shown(colored).replace("\x1b[1m", "").replace("\x1b[0m", "") == shown(plain)


def test_a_pipe_is_never_cut() -> None:
    """Long cells are cut on a terminal only."""
    pipe, terminal = buffers(width=30), buffers(tty=True, width=30, NO_COLOR="1")
    for streams in (pipe, terminal):
        show_table(streams, ["ID", "Title"], [["1", "word " * 20]])
    assert "word " * 19 in shown(pipe)
    assert max(display_width(line) for line in shown(terminal).splitlines()) <= 30
    assert "…" in shown(terminal)


def test_an_empty_table_leaves_stdout_empty() -> None:
    """That there is nothing is talk, not data."""
    streams = buffers()
    show_table(streams, ["ID"], [], empty="No session yet.")
    assert shown(streams) == ""
    assert isinstance(streams.err, io.StringIO)
    assert streams.err.getvalue() == "No session yet.\n"


def test_a_record_and_json() -> None:
    """A record lines up; JSON is indented and keeps other scripts readable."""
    streams = buffers()
    show_record(streams, {"名称": "x", "id": 3})
    show_json(streams, {"a": "简"})
    assert shown(streams) == '名称  x\nid    3\n{\n  "a": "简"\n}\n'


def test_values_are_shown_for_people() -> None:
    """None is nothing, a truth is a word, a time is local and has no microseconds."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    assert [show_value(v) for v in (None, True, 1.5)] == ["", "yes", "1.5"]
    assert show_value(moment) == moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@given(LETTERS, st.integers(1, 30))
def test_cut_and_pad_give_the_width_they_promise(text: str, width: int) -> None:
    """A cut text is at most that wide, a padded one at least."""
    assert display_width(cut(text, width)) <= width
    assert display_width(pad(cut(text, width), width)) == width


@given(LETTERS, st.integers(10, 30))
def test_wrapping_loses_no_letter(text: str, width: int) -> None:
    """Wrapped lines hold all letters, and only a single long word is wider than asked."""
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert display_width(line) <= width + 2 or " " not in line.strip()


def test_a_question_needs_somebody_to_ask() -> None:
    """Without a terminal only --yes goes ahead; with one the answer decides."""
    with pytest.raises(InvalidInput) as caught:
        confirm(buffers(), "Delete it?", yes=False)
    assert "--yes" in caught.value.hint
    assert confirm(buffers(), "Delete it?", yes=True)
    assert confirm(buffers(tty=True, stdin="y\n"), "Delete it?", yes=False)
    assert not confirm(buffers(tty=True, stdin="\n"), "Delete it?", yes=False)


@pytest.mark.parametrize(
    ("variables", "color"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_follows_the_terminal(variables: dict[str, str], color: bool) -> None:
    """NO_COLOR and a dumb terminal turn it off; a pipe never has it."""
    for kind, expected in ((Terminal, color), (io.StringIO, False)):
        assert Streams(kind(), kind(), kind(), variables).color is expected


def test_stdin_must_be_utf8() -> None:
    """A wrong byte is named by its offset; a byte-order mark is dropped."""
    streams = buffers()
    streams.stdin = io.TextIOWrapper(io.BytesIO(b"ab\xff"))
    with pytest.raises(InvalidInput, match="byte 2"):
        streams.read_all()
    streams.stdin = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfhi"))
    assert streams.read_all() == "hi"


def test_quiet_and_verbose_choose_what_is_said() -> None:
    """Quiet keeps errors, verbose adds details; data is not concerned."""
    streams = buffers()
    assert isinstance(streams.err, io.StringIO)
    streams.say("a")
    streams.explain("b")
    streams.quiet = True
    streams.say("c")
    streams.complain("d")
    streams.verbose = True
    streams.explain("e")
    assert streams.err.getvalue() == "a\nd\ne\n"
