"""Text that is safe to print into a terminal.

Called wherever stored text or a model's answer is shown to a person. Keeps every letter of
every script; never keeps a character that a terminal would obey.
"""

import re
from typing import Final

# A sequence longer than this is not one that a terminal is meant to read; it is then text
# without its opening. The bound is what lets a stream hold back little.
_LONGEST: Final = 512
_CSI: Final = r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}"
_STRING: Final = rf"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]{{0,{_LONGEST}}}"
# Control sequences, strings addressed to the terminal (OSC, DCS, SOS, PM, APC) up to their
# terminator, then any other escape sequence.
# Source: ECMA-48, 5th edition, sections 5.3–5.6, in 7-bit and 8-bit forms.
_SEQUENCES: Final = re.compile(rf"{_CSI}[@-~]|{_STRING}(?:\x07|\x1b\\|\x9c)|\x1b[ -/]{{0,8}}[0-~]")
_UNFINISHED: Final = re.compile(rf"(?:{_CSI}|{_STRING}\x1b?|\x1b[ -/]{{0,8}})\Z")
# C0 without tab and newline, DEL, C1, and the bidirectional controls that can make text read
# otherwise than it is stored. Source: Unicode UAX #9, section 2.
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_JSON_CONTROLS: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_LINE_ENDS: Final = re.compile(r"\r\n?")


def safe_text(text: str) -> str:
    """Drop what a terminal would obey: escape sequences, control and bidi characters.

    Newlines and tabs stay; a carriage return becomes a newline, so that no line overwrites
    another. A lone surrogate becomes U+FFFD, since it cannot be written.

    Args:
        text: Whole text. For a stream use `SafeStream`, because a sequence may be cut anywhere.
    """
    text = _SEQUENCES.sub("", _LINE_ENDS.sub("\n", text))
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))


def safe_line(text: str) -> str:
    """Return safe text on one line, for titles and table cells."""
    return " ".join(safe_text(text).split())


def safe_json(text: str) -> str:
    """Escape within JSON what a terminal would obey; the values stay the same.

    Encoders escape C0 alone, but a terminal obeys C1 and bidirectional controls too.

    Args:
        text: Whole JSON.
    """
    return _JSON_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class SafeStream:
    """Cleans a text that comes in pieces, exactly as if it had come at once.

    Holds back an escape sequence or a carriage return that is not complete yet: 600
    characters at most.
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take the next piece and return what may be printed now."""
        text = self._held + piece
        last = "\r" if text.endswith("\r") else ""
        text = _LINE_ENDS.sub("\n", text[: len(text) - len(last)])
        unfinished = _UNFINISHED.search(text)
        end = unfinished.start() if unfinished else len(text)
        self._held = text[end:] + last
        return safe_text(text[:end])

    def finish(self) -> str:
        """Return what is still held back, cleaned."""
        held, self._held = self._held, ""
        return safe_text(held)
