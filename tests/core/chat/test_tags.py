"""The tag parser: same result for every way of cutting a text, and no tag is ever shown."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillspace.core.chat.tags import BREAK, HELD_LIMIT, SPACE_LIMIT, TagParser

TAGS = ("<thinking>", "</thinking>", "<think>", "</think>", "<answer>", "</answer>")
PARTS = (*TAGS, "<", ">", "/", "<t", "<thin", "</a", "<answer", "king>", "think", " ", "\n", "\t")
TEXTS = st.lists(
    st.one_of(st.sampled_from(PARTS), st.text(alphabet="a<b>你😀 \n\u3000", max_size=4)),
    max_size=12,
).map("".join)

Shown = list[tuple[str, str]]


def parse(pieces: list[str]) -> Shown:
    """Feed pieces to a parser and merge neighbours of one channel."""
    parser = TagParser()
    merged: Shown = []
    for channel, text in [pair for piece in pieces for pair in parser.feed(piece)] + parser.close():
        assert text
        if merged and merged[-1][0] == channel:
            merged[-1] = (channel, merged[-1][1] + text)
        else:
            merged.append((channel, text))
    return merged


def channel_text(shown: Shown, channel: str) -> str:
    """Join what was shown on one channel."""
    return "".join(text for name, text in shown if name == channel)


EXAMPLES: list[tuple[str, Shown]] = [
    ("plain", [("answer", "plain")]),
    ("", []),
    ("<think>a</think>b", [("thinking", "a"), ("answer", "b")]),
    (
        "<thinking>\nhm\n</thinking>\n\n<answer>\nyes\n</answer>\n",
        [("thinking", "hm"), ("answer", "yes")],
    ),
    ("<thinking>hm <answer>yes", [("thinking", "hm"), ("answer", "yes")]),
    ("<think>never closed", [("thinking", "never closed")]),
    ("yes</answer>", [("answer", "yes")]),
    ("if a < b and c > d: <div>", [("answer", "if a < b and c > d: <div>")]),
    ("List<thin", [("answer", "List<thin")]),
    ("<Think>loud", [("answer", "<Think>loud")]),
    ("a <answer>b</answer> c", [("answer", f"a{BREAK}b{BREAK}c")]),
    ("<think>a</think>b<think>c", [("thinking", "a"), ("answer", "b"), ("thinking", f"{BREAK}c")]),
    ("<<think>x", [("answer", "<"), ("thinking", "x")]),
    ("end \n", [("answer", "end \n")]),
    ("</think>\u3000\u3000你好", [("answer", "\u3000\u3000你好")]),
]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_examples_at_every_single_cut(text: str, expected: Shown) -> None:
    """Each documented case gives its result, cut at no place and at every place."""
    assert parse([text]) == expected
    assert parse(list(text)) == expected
    for cut in range(len(text) + 1):
        assert parse([text[:cut], text[cut:]]) == expected


@given(TEXTS, st.data())
def test_every_split_gives_the_same(text: str, data: st.DataObject) -> None:
    """Any split of any text shows what the whole text shows."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    edges = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert parse(pieces) == parse([text])


@given(TEXTS)
def test_no_tag_is_ever_shown(text: str) -> None:
    """What is shown on a channel holds no tag, even where a tag was cut out of a tag."""
    shown = parse(list(text))
    for channel in ("thinking", "answer"):
        assert not any(tag in channel_text(shown, channel) for tag in TAGS)


@given(TEXTS)
def test_nothing_but_tags_and_space_is_lost(text: str) -> None:
    """All characters that are no tag and no ASCII whitespace arrive, in order."""
    expected = re.sub("|".join(TAGS), "", text)
    shown = "".join(part for _, part in parse([text]))
    assert re.sub(r"[ \t\r\n]", "", shown) == re.sub(r"[ \t\r\n]", "", expected)


@given(TEXTS)
def test_text_without_tags_is_untouched(text: str) -> None:
    """A text without a tag is the answer, byte for byte."""
    bare = text
    while re.search("|".join(TAGS), bare):
        bare = re.sub("|".join(TAGS), "", bare)
    assert channel_text(parse(list(bare)), "answer") == bare


@given(st.lists(st.one_of(TEXTS, st.just(" " * 50)), max_size=8))
def test_little_is_held_back(pieces: list[str]) -> None:
    """After each piece at most HELD_LIMIT characters of a tagless text wait."""
    parser = TagParser()
    given_count = shown_count = 0
    for piece in pieces:
        bare = piece.replace("<", "")
        given_count += len(bare)
        shown_count += sum(len(text) for _, text in parser.feed(bare))
        assert given_count - shown_count <= HELD_LIMIT


def test_endless_whitespace_is_let_through() -> None:
    """Whitespace before a tag is dropped only as far back as the limit."""
    text = "a" + " " * (SPACE_LIMIT + 3) + "<think>b"
    assert parse([text]) == parse(list(text)) == [("answer", "a   "), ("thinking", "b")]


def test_a_prompt_that_already_opened_thinking() -> None:
    """A parser may begin in thinking, for models whose prompt ends in the opening tag."""
    parser = TagParser("thinking")
    assert parser.feed("hm</think>yes") == [("thinking", "hm"), ("answer", "yes")]
