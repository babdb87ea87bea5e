"""EventLog in the database, beside the tasks: every event is durable before a reader sees it.

Readers in the writer's process are woken and find the newest events in memory; readers
elsewhere look again every 30 ms. One statement on the log's row checks fence, order and
closure for a whole batch.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from skillspace.core.adapters.eventlog_rules import (
    closed,
    lease_lost,
    new_events,
    not_replayable,
)
from skillspace.core.adapters.tails import Tails
from skillspace.core.adapters.wakeups import Ear, Wakeups
from skillspace.core.db.engine import Database
from skillspace.core.db.tables import event_logs, task_events
from skillspace.core.errors import LeaseLost
from skillspace.core.events import Event
from skillspace.core.ports import Watch

POLL_S: Final = 0.03
"""How often a reader in another process looks; half the promised lag of 60 ms."""

# Built once: making a statement costs as much as running it.
_LOG = select(event_logs).where(event_logs.c.task_id == bindparam("task_id"))
_NEW_LOG = insert(event_logs)
_NEW_EVENTS = insert(task_events)
_TAKE = (
    update(event_logs)
    .where(event_logs.c.task_id == bindparam("this"))
    .values(fence=bindparam("writer"))
)
_ADVANCE = (
    update(event_logs)
    .where(
        event_logs.c.task_id == bindparam("this"),
        event_logs.c.fence <= bindparam("writer"),
        event_logs.c.head_seq == bindparam("before"),
        event_logs.c.is_closed.is_(False),
    )
    .values(head_seq=bindparam("last"), is_closed=bindparam("closes"), fence=bindparam("writer"))
)
_PAGE = (
    select(task_events.c.seq, task_events.c.type, task_events.c.payload)
    .where(task_events.c.task_id == bindparam("task_id"), task_events.c.seq > bindparam("after"))
    .order_by(task_events.c.seq)
    .limit(bindparam("page"))
)


class SqlEventLog:
    """Two tables: `event_logs` holds a log's head and fence, `task_events` its events."""

    is_durable = True

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wakeups = Wakeups()
        self._written_here: set[str] = set()
        self._tails = Tails()

    async def begin(self, task_id: str, fence: int) -> int:
        """Open the log for the writer with this fence."""
        try:
            head = await self._begin(task_id, fence)
        except IntegrityError:
            # Another process opened the same new log a moment ago.
            head = await self._begin(task_id, fence)
        self._written_here.add(task_id)
        return head

    async def _begin(self, task_id: str, fence: int) -> int:
        def begin(connection: sa.Connection) -> int:
            log = self._locked(connection, task_id)
            if log is None:
                values = {"task_id": task_id, "fence": fence, "head_seq": 0}
                connection.execute(_NEW_LOG, values)
                return 0
            if fence < log.fence:
                raise lease_lost(task_id)
            connection.execute(_TAKE, {"this": task_id, "writer": fence})
            return int(log.head_seq)

        async with self._database.write(durable=False) as connection:
            return await connection.run_sync(begin)

    async def append(self, task_id: str, fence: int, events: Sequence[Event]) -> None:
        """Append what is new of these events, in one transaction."""
        if not events:
            return

        def append(connection: sa.Connection) -> list[Event]:
            fresh = list(events)
            if not _advance(connection, task_id, fence, fresh):
                log = self._locked(connection, task_id)
                if log is None or fence < log.fence:
                    raise lease_lost(task_id)
                fresh = new_events(task_id, events, log.head_seq)
                if not fresh:
                    return []
                if log.is_closed:
                    raise closed(task_id)
                _advance(connection, task_id, fence, fresh)
            rows = [
                {"task_id": task_id, "seq": event.seq, "type": event.type, "payload": event.payload}
                for event in fresh
            ]
            connection.execute(_NEW_EVENTS, rows)
            return fresh

        # A terminal event is worth an fsync; text between two of them follows the next one.
        try:
            async with self._database.write(durable=events[-1].is_terminal) as connection:
                fresh = await connection.run_sync(append)
        except LeaseLost:
            # Somebody else appends now, so what is remembered here is no longer the newest.
            self._tails.forget(task_id)
            self._written_here.discard(task_id)
            raise
        if fresh:
            self._tails.add(task_id, fresh)
            if fresh[-1].is_terminal:
                self._written_here.discard(task_id)
            self._wakeups.wake(task_id)

    async def read(self, task_id: str, after: int = 0, limit: int = 500) -> Sequence[Event]:
        """Return a page of events."""
        if newest := self._tails.after(task_id, after, limit):
            return newest

        def read(connection: sa.Connection) -> Sequence[Any]:
            values = {"task_id": task_id, "after": after, "page": limit}
            rows = connection.execute(_PAGE, values).all()
            if not rows or rows[0].seq != after + 1:
                log = connection.execute(_LOG, {"task_id": task_id}).one_or_none()
                if log is not None and after + 1 < log.first_seq:
                    raise not_replayable(task_id)
            return rows

        async with self._database.read() as connection:
            rows = await connection.run_sync(read)
        return [Event(seq=row.seq, type=row.type, payload=row.payload) for row in rows]

    async def head(self, task_id: str) -> tuple[int, bool]:
        """Return the last seq and whether the log is closed."""
        async with self._database.read() as connection:
            log = (await connection.execute(_LOG, {"task_id": task_id})).one_or_none()
        return (log.head_seq, log.is_closed) if log else (0, False)

    @asynccontextmanager
    async def watch(self, task_id: str) -> AsyncIterator[Watch]:
        """Watch one log, from this process or another."""
        with self._wakeups.listen(task_id) as ear:
            yield _SqlWatch(ear, task_id, self._written_here)

    async def expire(self, task_id: str) -> None:
        """Delete the events of a closed log, keeping where it ended."""

        def expire(connection: sa.Connection) -> None:
            log = self._locked(connection, task_id)
            if log is None or not log.is_closed:
                return
            connection.execute(
                update(event_logs)
                .where(event_logs.c.task_id == task_id)
                .values(first_seq=log.head_seq + 1)
            )
            connection.execute(delete(task_events).where(task_events.c.task_id == task_id))

        self._tails.forget(task_id)
        async with self._database.write(durable=False) as connection:
            await connection.run_sync(expire)

    async def remove(self, task_id: str) -> None:
        """Delete a closed log, events and all."""

        def remove(connection: sa.Connection) -> None:
            log = self._locked(connection, task_id)
            if log is None or not log.is_closed:
                return
            connection.execute(delete(task_events).where(task_events.c.task_id == task_id))
            connection.execute(delete(event_logs).where(event_logs.c.task_id == task_id))

        self._tails.forget(task_id)
        async with self._database.write() as connection:
            await connection.run_sync(remove)

    async def close(self) -> None:
        """Nothing is held: the database is closed by whoever opened it."""

    def _locked(self, connection: sa.Connection, task_id: str) -> Any:
        statement = _LOG.with_for_update() if self._database.dialect != "sqlite" else _LOG
        return connection.execute(statement, {"task_id": task_id}).one_or_none()


def _advance(connection: sa.Connection, task_id: str, fence: int, fresh: list[Event]) -> bool:
    """Move the head over these events, if they follow it and the writer may; say whether."""
    new_events(task_id, fresh, fresh[0].seq - 1)
    values = {
        "this": task_id,
        "writer": fence,
        "before": fresh[0].seq - 1,
        "last": fresh[-1].seq,
        "closes": fresh[-1].is_terminal,
    }
    return connection.execute(_ADVANCE, values).rowcount == 1


class _SqlWatch:
    """An ear that also looks by itself while the writer is in another process."""

    def __init__(self, ear: Ear, task_id: str, written_here: set[str]) -> None:
        self._ear = ear
        self._task_id = task_id
        self._written_here = written_here

    async def wait(self, timeout_s: float) -> None:
        """Return at a wake-up, or when it is time to look again."""
        is_local = self._task_id in self._written_here
        await self._ear.wait(timeout_s if is_local else min(timeout_s, POLL_S))
