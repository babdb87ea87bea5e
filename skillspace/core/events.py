"""The events of a task's log, and the two things done to them: joining and coalescing.

Every face reads these and only these; a new kind of event must be safe to ignore.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from skillspace.core.values import Json, Value

PAYLOAD_LIMIT_BYTES: Final = 64 * 1024
MERGED_LIMIT_BYTES: Final = PAYLOAD_LIMIT_BYTES // 8
"""A merged text of this size fits even if JSON writes each of its bytes as `\\u0000`."""

THINKING: Final = "thinking"
ANSWER: Final = "answer"
PROGRESS: Final = "progress"
STATUS: Final = "status"
RETRY: Final = "retry"
FINISH: Final = "finish"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"
INTERRUPTED: Final = "interrupted"

TEXT_TYPES: Final = frozenset({THINKING, ANSWER})
TERMINAL_TYPES: Final = frozenset({FINISH, ERROR, CANCELLED, INTERRUPTED})


class Event(Value, frozen=True, kw_only=True):
    """One line of a task's log.

    Args:
        seq: 1 for the first event of a task, then without gaps. A coalesced event carries
            the number of the last event in it, so that a reader continues from there.
        type: One of the names above.
        payload: JSON object of at most 64 KiB. Text events hold `{"text": …}`; finish may
            hold `usage`; error holds `code`, `message`, `hint`.
    """

    seq: int
    type: str
    payload: dict[str, Json] = msgspec.field(default_factory=dict)

    @property
    def is_terminal(self) -> bool:
        """Whether this is the last event of its log."""
        return self.type in TERMINAL_TYPES

    @property
    def text(self) -> str:
        """The text of a thinking or answer event; empty for every other type."""
        text = self.payload.get("text", "") if self.type in TEXT_TYPES else ""
        return text if isinstance(text, str) else ""


def join_text(events: Iterable[Event], type_: str = ANSWER) -> str:
    """Join the text of all events of one type, in order."""
    return "".join(event.text for event in events if event.type == type_)


def coalesce(events: Iterable[Event], limit_bytes: int = MERGED_LIMIT_BYTES) -> Iterator[Event]:
    """Merge neighbouring text events of one type, so that a slow reader gets fewer, longer ones.

    Args:
        events: In order of seq.
        limit_bytes: A merged text has at most this many UTF-8 bytes, unless one event alone
            is longer.
    """
    held: Event | None = None
    parts: list[str] = []
    size = 0
    for event in events:
        length = len(event.text.encode("utf-8", "surrogatepass"))
        mergeable = event.type in TEXT_TYPES
        if held and mergeable and held.type == event.type and size + length <= limit_bytes:
            parts.append(event.text)
            size += length
            held = Event(seq=event.seq, type=event.type)
            continue
        if held:
            yield Event(seq=held.seq, type=held.type, payload={"text": "".join(parts)})
            held = None
        if mergeable:
            held, parts, size = event, [event.text], length
        else:
            yield event
    if held:
        yield Event(seq=held.seq, type=held.type, payload={"text": "".join(parts)})
