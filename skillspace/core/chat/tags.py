"""Tells thinking from answer in a model's text, however the text is cut into pieces.

Called by the chat job with each piece of an answer. Knows `<thinking>`, `<think>`, `<answer>`
and their closing tags, in lower case as models write them; a tag is never shown, nor split by
a token's border. Pure: no clock, no I/O, and what it returns for a text is the same for every
way of cutting it.
"""

import re
from typing import Final, Literal

Channel = Literal["thinking", "answer"]

_NAMES: Final = ("thinking", "think", "answer")
_TAGS: Final = tuple(f"<{slash}{name}>" for slash in ("", "/") for name in _NAMES)
_TAG: Final = re.compile("|".join(map(re.escape, _TAGS)))
_STARTS: Final = frozenset(tag[:length] for tag in _TAGS for length in range(1, len(tag)))
_LONGEST_START: Final = max(map(len, _STARTS))
# An ideographic space (U+3000) indents a Chinese paragraph, so it is text.
_SPACE: Final = " \t\r\n"

SPACE_LIMIT: Final = 64
"""Whitespace before a tag that is held back, and dropped, is at most this many characters."""
HELD_LIMIT: Final = SPACE_LIMIT + _LONGEST_START
"""Characters that a parser holds back at most."""
BREAK: Final = "\n\n"
"""Stands between two stretches of one channel that a tag keeps apart."""


class TagParser:
    """A push parser: text in, (channel, text) out.

    An opening `<think>` or `<thinking>` begins thinking. `<answer>`, and every closing tag,
    begins the answer, so an unclosed `<thinking>` ends at `<answer>` and a stray closing tag
    does nothing but end. Text outside of all tags is answer.

    Whitespace that touches a tag is dropped: all that follows it, and up to 64 characters
    before it. Where a tag stood between two stretches of one channel, a blank line stands.

    Args:
        channel: Where the text begins; `thinking` for a model whose prompt already ends in an
            opening tag.
    """

    def __init__(self, channel: Channel = "answer") -> None:
        self._channel: Channel = channel
        self._held = ""
        self._after_tag = False
        self._has_text = {"thinking": False, "answer": False}

    def feed(self, text: str) -> list[tuple[Channel, str]]:
        """Take the next piece and return what it settles, in order; possibly nothing."""
        held = self._held + text
        shown: list[tuple[Channel, str]] = []
        start = 0
        for tag in _TAG.finditer(held):
            body = held[start : tag.start()]
            self._show(shown, body[: _before_space(body)])
            self._switch(tag.group())
            start = tag.end()
        rest = held[start:]
        if self._after_tag:
            rest = rest.lstrip(_SPACE)
        undecided = _before_space(rest, _before_tag_start(rest))
        self._show(shown, rest[:undecided])
        self._held = rest[undecided:]
        return shown

    def close(self) -> list[tuple[Channel, str]]:
        """End the text: what only looked like the start of a tag is text after all."""
        held, self._held = self._held, ""
        shown: list[tuple[Channel, str]] = []
        self._show(shown, held)
        return shown

    def _show(self, shown: list[tuple[Channel, str]], text: str) -> None:
        if self._after_tag:
            text = text.lstrip(_SPACE)
        if not text:
            return
        if self._after_tag and self._has_text[self._channel]:
            text = BREAK + text
        self._after_tag = False
        self._has_text[self._channel] = True
        shown.append((self._channel, text))

    def _switch(self, tag: str) -> None:
        self._channel = "thinking" if tag.startswith("<think") else "answer"
        self._after_tag = True


def _before_tag_start(text: str) -> int:
    """Return where the start of a tag at the very end of the text begins; its length if none."""
    start = text.rfind("<", max(0, len(text) - _LONGEST_START))
    return start if start >= 0 and text[start:] in _STARTS else len(text)


def _before_space(text: str, end: int | None = None) -> int:
    """Return where the whitespace before `end` begins, at most SPACE_LIMIT characters back."""
    end = len(text) if end is None else end
    return max(len(text[:end].rstrip(_SPACE)), end - SPACE_LIMIT)
