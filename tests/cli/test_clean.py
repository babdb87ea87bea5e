"""Nothing that a terminal would obey gets through, and nothing else is lost."""

import json
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillspace.cli.clean import SafeStream, safe_json, safe_line, safe_text

DANGEROUS = st.sampled_from(
    [
        "\x1b[31m", "\x1b[2J", "\x9b1m", "\x1b]0;title\x07", "\x1b]8;;file:///etc\x1b\\",
        "\x1bPq#0\x1b\\", "\x1b(B", "\x1bc", "\r", "\r\n", "\x07", "\x08", "\x7f", "\x1b",
        "\u202e", "\u2066", "\x9d0;x\x9c", "\x1b[", "\x1b]0;", "\x1b]52;c;aGk=\x07", "\udc80",
    ]
)  # fmt: skip
TEXT = st.lists(st.one_of(DANGEROUS, st.text(max_size=6)), max_size=12).map("".join)
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(TEXT)
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    """No control character but tab and newline, and no bidi control, survives."""
    for character in safe_text(text):
        assert character in "\t\n" or unicodedata.category(character) not in ("Cc", "Cs")
        assert character not in BIDI


@given(TEXT)
def test_cleaning_is_done_once(text: str) -> None:
    """Cleaning a clean text changes nothing."""
    assert safe_text(safe_text(text)) == safe_text(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=BIDI)))
def test_plain_text_is_kept(text: str) -> None:
    """Letters, emoji and joiners of every script stay as they are."""
    assert safe_text(text) == text


@given(TEXT, st.lists(st.integers(0, 80), max_size=8))
def test_a_stream_is_cleaned_like_the_whole(text: str, cuts: list[int]) -> None:
    """Wherever a text is cut into pieces, what is printed is the same."""
    stream = SafeStream()
    points = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(points)]
    assert "".join([*map(stream.feed, pieces), stream.finish()]) == safe_text(text)


def test_a_stream_holds_back_little() -> None:
    """A sequence that never ends does not keep the text after it from being seen."""
    stream = SafeStream()
    shown = stream.feed("\x1b]0;" + "x" * 5000)
    assert len(shown) > 4000


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a\x1b[31mred\x1b[0m b", "ared b"),
        ("\x1b]0;owned\x07hi", "hi"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("50%\rdone", "50%\ndone"),
        ("简历 👩‍💻 é", "简历 👩‍💻 é"),
    ],
)
def test_known_attacks(text: str, clean: str) -> None:
    """Colours, titles, links and overwriting lines are gone; the words stay."""
    assert safe_text(text) == clean


@given(st.text())
def test_json_for_a_terminal_means_the_same(text: str) -> None:
    """Nothing in it is obeyed, and a program reads the same value."""
    text = text.encode("utf-8", "replace").decode() + "\x9b31m\x7f\u202e"
    shown = safe_json(json.dumps({"answer": text}, ensure_ascii=False))
    assert safe_text(shown) == shown
    assert json.loads(shown) == {"answer": text}


def test_a_line_is_one_line() -> None:
    """A title with newlines stays on one line."""
    assert safe_line("a\n b\t\x1b[1mc ") == "a b c"
