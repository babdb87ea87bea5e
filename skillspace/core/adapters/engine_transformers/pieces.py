"""From tokens to text that may be shown: whole characters, cut at stop strings.

Called by a row of the engine, once per token, at a cost that does not grow with the answer.
Pure: knows no model and no thread.
"""

import codecs
from collections.abc import Callable, Sequence
from typing import Any, Final

REPLACEMENT: Final = "\ufffd"
_PENDING_LIMIT: Final = 16
"""Tokens after which text that still ends in a broken character is let through as it is."""


class ByteDetokenizer:
    """Decodes a byte-level BPE by its bytes: exact, and one token at a time.

    Args:
        token_bytes: The bytes of a token id; empty for one that is not shown.
    """

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        # Replaces broken sequences as the tokenizers library does when it decodes the whole:
        # one U+FFFD per maximal broken part. Source: Unicode 15, section 3.9, table 3-8.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """Take a token and return the characters it completes."""
        return self._decoder.decode(self._token_bytes(token))

    def close(self) -> str:
        """Return what is left: U+FFFD for a character that never was completed."""
        return self._decoder.decode(b"", final=True)


class WindowDetokenizer:
    """Decodes any other tokenizer through a window that moves along with the text.

    A token's text may depend on the tokens before it (a leading space, a character in several
    bytes), so the window always holds the tokens of the last text that was returned.

    Args:
        decode: Turns token ids into text, special tokens left out.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._known = 0
        self._known_text = ""

    def feed(self, token: int) -> str:
        """Take a token and return the characters it completes."""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        pending = len(self._tokens) - self._known
        if text.endswith(REPLACEMENT) and pending < _PENDING_LIMIT:
            return ""
        return self._advance(text)

    def close(self) -> str:
        """Return what is left, broken characters included."""
        return self._advance(self._decode(self._tokens)) if self._tokens else ""

    def _advance(self, text: str) -> str:
        new = text[len(self._known_text) :]
        if new:
            self._tokens = self._tokens[self._known :]
            self._known = len(self._tokens)
            self._known_text = self._decode(self._tokens)
        return new


class StopFinder:
    """Cuts a text that comes in pieces at the first stop string.

    Holds back only what may be the start of a stop string. Which stop string counts does not
    depend on how the text is cut: the one that is complete first, and of two that end together
    the one that begins first.

    Args:
        stops: Empty ones are ignored.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""

    def feed(self, piece: str) -> tuple[str, bool]:
        """Take a piece; return what may be shown, and whether a stop string was found."""
        if not self._stops:
            return piece, False
        text = self._held + piece
        found = [(text.find(stop) + len(stop), stop) for stop in self._stops if stop in text]
        if found:
            self._held = ""
            end = min(end for end, _ in found)
            start = min(end - len(stop) for at, stop in found if at == end)
            return text[:start], True
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def close(self) -> str:
        """Return what was held back and is no stop string after all."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return how many of the last characters of a text are the start of a stop string."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


def byte_alphabet() -> dict[str, int]:
    """Return the byte that each character of a byte-level vocabulary stands for.

    Source: the byte-level alphabet of GPT-2: printable Latin-1 characters stand for
    themselves, all other bytes for the characters from U+0100 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    alphabet.update({chr(0x100 + i): byte for i, byte in enumerate(others)})
    return alphabet


class TokenBytes:
    """The bytes of each token of a byte-level tokenizer; worked out once per token.

    Args:
        tokenizer: A fast tokenizer of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._alphabet = byte_alphabet()
        added = tokenizer.added_tokens_decoder
        self._known = {token: b"" for token, entry in added.items() if entry.special}

    def __call__(self, token: int) -> bytes:
        """Return the bytes; empty for special tokens and ids beyond the vocabulary."""
        found = self._known.get(token)
        if found is None:
            found = self._known[token] = self._spell(token)
        return found

    def _spell(self, token: int) -> bytes:
        text = self._tokenizer.convert_ids_to_tokens(token)
        if text is None:
            return b""
        try:
            return bytes(self._alphabet[character] for character in text)
        except KeyError:
            return str(text).encode()


def is_byte_level(tokenizer: Any) -> bool:
    """Whether a tokenizer decodes by bytes and nothing else."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return type(getattr(backend, "decoder", None)).__name__ == "ByteLevel"
