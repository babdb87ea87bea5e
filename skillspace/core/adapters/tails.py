"""The newest events of the logs that this process writes, so that readers beside the writer
need no query for them. Used by `eventlog_sql`; holds only what is already in the database.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final

from skillspace.core.events import Event

LOGS: Final = 64
EVENTS_PER_LOG: Final = 64
"""A reader that is further behind reads pages from the database."""


class Tails:
    """The last events of the last logs written here, bounded both ways."""

    def __init__(self) -> None:
        self._tails: OrderedDict[str, deque[Event]] = OrderedDict()

    def add(self, task_id: str, events: Sequence[Event]) -> None:
        """Remember events that were just stored."""
        tail = self._tails.setdefault(task_id, deque(maxlen=EVENTS_PER_LOG))
        if tail and events[0].seq != tail[-1].seq + 1:
            tail.clear()
        tail.extend(events)
        self._tails.move_to_end(task_id)
        while len(self._tails) > LOGS:
            self._tails.popitem(last=False)

    def after(self, task_id: str, seq: int, limit: int) -> Sequence[Event]:
        """Return up to `limit` events that follow this seq; empty when only the database knows."""
        tail = self._tails.get(task_id)
        if not tail or not tail[0].seq <= seq + 1 <= tail[-1].seq:
            return []
        start = seq + 1 - tail[0].seq
        return [tail[index] for index in range(start, min(start + limit, len(tail)))]

    def forget(self, task_id: str) -> None:
        """Forget a log that expired or went."""
        self._tails.pop(task_id, None)
