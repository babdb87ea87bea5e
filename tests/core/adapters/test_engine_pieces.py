"""From tokens to text: exact, whole characters only, and the same for every cut."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillspace.core.adapters.engine_transformers.pieces import (
    REPLACEMENT,
    ByteDetokenizer,
    StopFinder,
    TokenBytes,
    WindowDetokenizer,
    byte_alphabet,
    is_byte_level,
)
from tests.tiny_models import make_tokenizer

FAMILY = "👩‍👩‍👧"


@cache
def byte_tokenizer() -> Any:
    """Return the byte-level tokenizer of the tiny models."""
    return make_tokenizer()


@cache
def fallback_tokenizer() -> Any:
    """Return a tokenizer as SentencePiece models have: word marks, and bytes as a last resort."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["▁", "▁the", "▁cat", "s", "▁写", "简", "a", "b"]
    vocabulary = {"<unk>": 0, **{f"<0x{byte:02X}>": byte + 1 for byte in range(256)}}
    vocabulary.update({word: 257 + i for i, word in enumerate(words)})
    inner = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")


def decode(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Decode all tokens at once."""
    text: str = tokenizer.decode(
        list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return text


def pieces_of(detokenizer: ByteDetokenizer | WindowDetokenizer, tokens: Sequence[int]) -> list[str]:
    """Feed all tokens, then close."""
    return [*(detokenizer.feed(token) for token in tokens), detokenizer.close()]


@given(st.lists(st.integers(0, 420), max_size=40))
def test_any_tokens_join_to_the_whole(tokens: list[int]) -> None:
    """Whatever a model says, broken bytes and unknown ids too, pieces join to the full decode."""
    tokenizer = byte_tokenizer()
    known = [token for token in tokens if token < len(tokenizer)]
    shown = "".join(pieces_of(ByteDetokenizer(TokenBytes(tokenizer)), tokens))
    assert shown == decode(tokenizer, known)


@given(st.text(max_size=30))
def test_no_piece_breaks_a_character(text: str) -> None:
    """A valid text comes back whole, and no piece of it has a replacement character of its own."""
    text = text.encode("utf-8", "replace").decode()
    tokenizer = byte_tokenizer()
    pieces = pieces_of(ByteDetokenizer(TokenBytes(tokenizer)), tokenizer.encode(text))
    assert "".join(pieces) == text
    assert all(REPLACEMENT not in piece for piece in pieces) or REPLACEMENT in text


def test_text_comes_without_waiting_for_a_space() -> None:
    """Each token that completes a character shows it at once, in Chinese as well."""
    tokenizer = byte_tokenizer()
    tokens = tokenizer.encode("你好世界")
    detokenizer = ByteDetokenizer(TokenBytes(tokenizer))
    shown = ""
    for count, token in enumerate(tokens, 1):
        shown += detokenizer.feed(token)
        assert shown == decode(tokenizer, tokens[:count]).rstrip(REPLACEMENT)


@given(st.text(alphabet="the cats写简a你🙂é", max_size=20))
def test_word_marks_and_byte_fallback(text: str) -> None:
    """Any other tokenizer: valid text joins to the full decode, characters whole."""
    tokenizer = fallback_tokenizer()
    tokens = tokenizer.encode(text)
    pieces = pieces_of(WindowDetokenizer(lambda ids: decode(tokenizer, ids)), tokens)
    assert "".join(pieces) == decode(tokenizer, tokens)
    assert all(REPLACEMENT not in piece for piece in pieces)


@given(st.lists(st.integers(0, 264), max_size=60))
@settings(max_examples=50)
def test_the_window_does_not_grow(tokens: list[int]) -> None:
    """A window decodes few tokens at a time, however long and broken the answer is."""
    tokenizer = fallback_tokenizer()
    longest = 0

    def measured(ids: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(ids))
        return decode(tokenizer, ids)

    pieces_of(WindowDetokenizer(measured), [token for token in tokens if token])
    assert longest <= 64


def test_byte_level_is_recognised() -> None:
    """The exact decoder is used where it is exact, and only there."""
    assert is_byte_level(byte_tokenizer())
    assert not is_byte_level(fallback_tokenizer())
    assert not is_byte_level(object())


def test_alphabet_covers_every_byte() -> None:
    """All 256 bytes have a character of their own."""
    assert sorted(byte_alphabet().values()) == list(range(256))


def test_joined_emoji_survive() -> None:
    """A sequence joined by zero-width joiners comes back byte for byte."""
    tokenizer = byte_tokenizer()
    pieces = pieces_of(ByteDetokenizer(TokenBytes(tokenizer)), tokenizer.encode(FAMILY))
    assert "".join(pieces) == FAMILY


def stopped(stops: Sequence[str], pieces: Sequence[str]) -> tuple[str, bool]:
    """Feed pieces until a stop string is found; return what was shown."""
    finder, shown = StopFinder(stops), ""
    for piece in pieces:
        text, is_stopped = finder.feed(piece)
        shown += text
        if is_stopped:
            return shown, True
    return shown + finder.close(), False


@pytest.mark.parametrize(
    ("stops", "text", "expected"),
    [
        ((), "abc", ("abc", False)),
        (("",), "abc", ("abc", False)),
        (("b",), "abc", ("a", True)),
        (("bcd", "c"), "abcd", ("ab", True)),
        (("abc", "bc"), "xabc", ("x", True)),
        (("aab",), "aaab", ("a", True)),
        (("zz",), "az", ("az", False)),
        (("你好",), "说你好吗", ("说", True)),
    ],
)
def test_stop_examples(stops: Sequence[str], text: str, expected: tuple[str, bool]) -> None:
    """Each case, at once and character by character."""
    assert stopped(stops, [text]) == expected
    assert stopped(stops, list(text)) == expected


@given(
    st.lists(st.text(alphabet="ab你", max_size=4), max_size=3),
    st.lists(st.text(alphabet="ab你", max_size=5), max_size=8),
)
def test_stops_do_not_depend_on_the_cut(stops: list[str], pieces: list[str]) -> None:
    """Any cut of a text is stopped at the same place, and no stop string is ever shown."""
    text = "".join(pieces)
    assert stopped(stops, pieces) == stopped(stops, [text]) == stopped(stops, list(text))
    shown, _ = stopped(stops, pieces)
    assert not any(stop and stop in shown for stop in stops)


@given(st.lists(st.text(alphabet="ab", max_size=4), max_size=6))
def test_only_the_start_of_a_stop_is_held(pieces: list[str]) -> None:
    """What is held back is always the start of a stop string."""
    finder, shown, given_text = StopFinder(["abb"]), "", ""
    for piece in pieces:
        text, is_stopped = finder.feed(piece)
        shown, given_text = shown + text, given_text + piece
        if is_stopped:
            return
        held = given_text[len(shown) :]
        assert "abb".startswith(held)
        assert len(held) < 3
