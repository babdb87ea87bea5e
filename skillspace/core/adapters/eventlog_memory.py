"""EventLog in this process's memory: nothing to configure, nothing kept after the process.

Not durable: the task's row keeps a checkpoint of what was said (`tasks.partial`).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from skillspace.core.adapters.eventlog_rules import (
    closed,
    lease_lost,
    new_events,
    not_replayable,
)
from skillspace.core.adapters.wakeups import Wakeups
from skillspace.core.events import Event
from skillspace.core.ports import Watch


@dataclass
class _Log:
    fence: int
    head: int = 0
    events: list[Event] = field(default_factory=list)
    is_closed: bool = False


class MemoryEventLog:
    """A dictionary of lists, with the same rules as every other log."""

    is_durable = False

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._wakeups = Wakeups()

    async def begin(self, task_id: str, fence: int) -> int:
        """Open the log for the writer with this fence."""
        log = self._logs.setdefault(task_id, _Log(fence))
        if fence < log.fence:
            raise lease_lost(task_id)
        log.fence = fence
        return log.head

    async def append(self, task_id: str, fence: int, events: Sequence[Event]) -> None:
        """Append what is new of these events."""
        log = self._logs.get(task_id)
        if log is None or fence < log.fence:
            raise lease_lost(task_id)
        fresh = new_events(task_id, events, log.head)
        if not fresh:
            return
        if log.is_closed:
            raise closed(task_id)
        log.events.extend(fresh)
        log.head = fresh[-1].seq
        log.is_closed = fresh[-1].is_terminal
        self._wakeups.wake(task_id)

    async def read(self, task_id: str, after: int = 0, limit: int = 500) -> Sequence[Event]:
        """Return a page of events."""
        log = self._logs.get(task_id)
        if log is None or after >= log.head:
            return []
        if not log.events:
            raise not_replayable(task_id)
        return log.events[after : after + limit]

    async def head(self, task_id: str) -> tuple[int, bool]:
        """Return the last seq and whether the log is closed."""
        log = self._logs.get(task_id)
        return (log.head, log.is_closed) if log else (0, False)

    @asynccontextmanager
    async def watch(self, task_id: str) -> AsyncIterator[Watch]:
        """Watch one log."""
        with self._wakeups.listen(task_id) as ear:
            yield ear

    async def expire(self, task_id: str) -> None:
        """Forget the events of a closed log."""
        log = self._logs.get(task_id)
        if log is not None and log.is_closed:
            log.events = []

    async def remove(self, task_id: str) -> None:
        """Forget a closed log as if it had never been."""
        log = self._logs.get(task_id)
        if log is not None and log.is_closed:
            del self._logs[task_id]

    async def close(self) -> None:
        """Forget everything."""
        self._logs.clear()
