"""Finds what a crash left behind and brings every task to its end or back to its queue.

Four leftovers: a running task whose process is dead, a waiting task nobody was told of, an
ended task whose log has no last event, and a log past its time to live. Everything here
may run in many processes at once: every step compares before it sets.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, or_, select, update

from skillspace.core.clock import Clock
from skillspace.core.db.engine import Database
from skillspace.core.db.tables import event_logs, tasks
from skillspace.core.errors import LeaseLost
from skillspace.core.events import ANSWER, ERROR, INTERRUPTED, THINKING
from skillspace.core.ports import EventLog, TaskQueue
from skillspace.core.tasks import leases, outbox
from skillspace.core.tasks.ending import (
    cancelled,
    close_from_row,
    end_row,
    remove,
    terminal_payload,
)
from skillspace.core.tasks.limits import TaskLimits
from skillspace.core.tasks.liveness import ProcessLock
from skillspace.core.tasks.overtaken import persist
from skillspace.core.tasks.registry import Registry
from skillspace.core.tasks.values import ENDED, RUNNING, Claim, Outcome, TaskFailure
from skillspace.core.tasks.writer import EventWriter
from skillspace.core.text import t

SWEEP_S: Final = 1.0
LOOK_S: Final = 0.1
"""Between two sweeps the locks of known owners, which cost no query, are tried this often."""
GRACE_S: Final = 1.0
"""A waiting task is left to its submitter for this long."""
BATCH: Final = 100
RUNNING_BATCH: Final = 2000
"""Running tasks looked at in one sweep, by all processes together; those silent longest first."""
DEATHS: Final = 3
"""A task that has killed this many processes is set aside."""
HOUSEKEEPING_SWEEPS: Final = 300

_log = logging.getLogger(__name__)


class _Seen(NamedTuple):
    """A lease as it was seen: which one, since when it has not changed, when it was last seen."""

    mark: tuple[Any, ...]
    since_s: float
    looked_s: float


class Recovery:
    """Looks for leftovers and mends them.

    Args:
        database: Where tasks are.
        log: Where their events are.
        registry: Kinds this process can settle and run.
        lock: Tells which processes on this host are dead.
        clock: Its monotonic side decides when a lease is over.
        limits: When a lease is over, and how long logs are kept.

    Why a lease is judged by how long it has not changed before our eyes, and not by the time
    written in it: clocks of two hosts differ and jump, a monotonic clock does not. And while
    nobody looked, nothing counts: this process may have slept, and the writer with it.
    """

    def __init__(
        self,
        database: Database,
        log: EventLog,
        registry: Registry,
        lock: ProcessLock,
        *,
        clock: Clock,
        limits: TaskLimits,
    ) -> None:
        self._database = database
        self._log = log
        self._registry = registry
        self._lock = lock
        self._clock = clock
        self._limits = limits
        self._gap_s = max(2.5 * SWEEP_S, limits.lease_s / 2)
        self._seen: dict[str, _Seen] = {}
        self._owners: set[str] = set()
        self._queue: TaskQueue | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, queue: TaskQueue) -> None:
        """Sweep before this returns and then again and again, offering what waits to this queue.

        Why the first sweep is waited for: whoever comes next, such as a prompt in a session
        whose last answer a crash cut short, finds everything mended.
        """
        self._queue = queue
        self._lock.remove_dead()
        await self._sweep_once(0.0)
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="task-recovery")

    async def stop(self) -> None:
        """Stop sweeping."""
        self._queue = None
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper})
            self._sweeper = None

    async def _sweep_forever(self) -> None:
        sweeps = 0
        while True:
            if sweeps % HOUSEKEEPING_SWEEPS == 0:
                await self._keep_house()
            sweeps += 1
            until_s = self._clock.monotonic_s() + SWEEP_S
            while self._clock.monotonic_s() < until_s:
                await asyncio.sleep(LOOK_S)
                if any(self._lock.is_dead(owner) for owner in self._owners):
                    break
            await self._sweep_once(GRACE_S)

    async def _sweep_once(self, grace_s: float) -> None:
        try:
            await self.sweep(grace_s)
        except Exception:  # noqa: BLE001 - a sweep that fails must not be the last one
            _log.warning("recovery could not look for leftovers", exc_info=True)

    async def _keep_house(self) -> None:
        try:
            await self.close_ended_logs()
            await self.expire_logs()
        except Exception:  # noqa: BLE001 - old logs may wait
            _log.warning("old event logs could not be looked through", exc_info=True)

    async def sweep(self, grace_s: float = GRACE_S) -> Sequence[str]:
        """Recover every dead task and offer to the queue what waits to be run.

        Args:
            grace_s: Leave alone what began to wait less than this ago.

        Returns:
            The ids of what waits, oldest first, recovered tasks last.
        """
        async with self._database.read() as connection:
            waiting = (await connection.execute(self._waiting_query(grace_s))).all()
            running = (await connection.execute(self._running_query())).all()
        offered = [row.id for row in waiting]
        if self._queue is not None:
            for row in waiting:
                await self._queue.publish(row.queue, row.id)
        for row in running:
            try:
                if self.is_dead(row) and await self.recover(row):
                    offered.append(row.id)
            except Exception:  # noqa: BLE001 - one bad row must not keep the others waiting
                _log.warning("task %s could not be recovered", row.id, exc_info=True)
        owners = {row.lease_owner for row in running}
        self._owners = {owner for owner in owners if not self._lock.is_dead(owner)}
        oldest_s = self._clock.monotonic_s() - self._gap_s
        self._seen = {key: seen for key, seen in self._seen.items() if seen.looked_s > oldest_s}
        return offered

    def _waiting_query(self, grace_s: float) -> Select[Any]:
        now = self._clock.now()
        due = now - timedelta(seconds=grace_s)
        # A time in the future is that of a clock which was set back: such a task waits too.
        pending = (tasks.c.state == "PENDING") & or_(
            tasks.c.available_at <= due, tasks.c.available_at > now
        )
        retry = (tasks.c.state == "RETRY") & (tasks.c.available_at <= now)
        return (
            select(tasks.c.id, tasks.c.queue)
            .where(or_(pending, retry), tasks.c.kind.in_(self._registry.kinds))
            .order_by(tasks.c.available_at, tasks.c.id)
            .limit(BATCH)
        )

    def _running_query(self) -> Select[Any]:
        return (
            select(tasks)
            .where(tasks.c.state.in_(RUNNING), tasks.c.kind.in_(self._registry.kinds))
            .order_by(tasks.c.lease_expires_at)
            .limit(RUNNING_BATCH)
        )

    def is_dead(self, row: Any) -> bool:
        """Say whether the process that holds this running task is gone.

        Args:
            row: A row of `tasks`, read just now.
        """
        if self._lock.is_dead(row.lease_owner):
            return True
        now_s = self._clock.monotonic_s()
        mark = (row.fence, row.lease_expires_at)
        seen = self._seen.get(row.id)
        if seen is None or seen.mark != mark or now_s - seen.looked_s > self._gap_s:
            self._seen[row.id] = _Seen(mark, now_s, now_s)
            return False
        self._seen[row.id] = seen._replace(looked_s=now_s)
        return now_s - seen.since_s > self._limits.lease_s

    def is_alive(self, row: Any) -> bool | None:
        """Say whether the process that holds this running task lives; None if it may or may not.

        Args:
            row: A row of `tasks`, read just now.
        """
        if self._lock.is_dead(row.lease_owner) is False:
            return True
        return False if self.is_dead(row) else None

    async def recover_if_dead(self, task_id: str) -> bool:
        """Recover a task if its process is known to be dead; says whether it waits again."""
        query = select(tasks).where(tasks.c.id == task_id, tasks.c.state.in_(RUNNING))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return row is not None and self.is_dead(row) and await self.recover(row)

    async def recover(self, row: Any) -> bool:
        """Take a task from its dead process: end it with what it said, or let it run again.

        Returns:
            True when the task waits to be run again.
        """
        if row.kind not in self._registry:
            return False
        claim = await persist(lambda: self._seize(row))
        if claim is None:
            return False
        writer = EventWriter(self._log, claim)
        try:
            return await self._bring_home(claim, row, writer)
        except LeaseLost:
            return False
        finally:
            await writer.abandon()

    async def _seize(self, row: Any) -> Claim | None:
        until = self._clock.now() + timedelta(seconds=self._limits.lease_s)
        lease = leases.Lease(owner=self._lock.owner, until=until)
        async with self._database.write() as connection:
            return await leases.seize(connection, row, lease)

    async def _bring_home(self, claim: Claim, row: Any, writer: EventWriter) -> bool:
        await writer.start()
        if not self._log.is_durable:
            await _restore(writer, row.partial or {})
        await writer.stop()
        text = writer.text
        is_repeatable = self._registry.get(claim.kind).is_repeatable or not any(text.values())
        outcome = _interrupted(text, row.deaths + 1, is_repeatable)
        if row.cancel_requested_at is not None:
            outcome = cancelled(text)
        elif is_repeatable and row.deaths + 1 < DEATHS:
            if await persist(lambda: self._put_back(claim, row.queue)):
                if self._queue is not None:
                    await self._queue.publish(row.queue, claim.task_id)
                return True
            # Somebody asked to cancel it since the row was read.
            outcome = cancelled(text)
        written = await end_row(self._database, self._registry, claim, outcome, self._clock.now())
        if written is not None:
            await writer.close_log(written.event, terminal_payload(written))
        return False

    async def _put_back(self, claim: Claim, queue: str) -> bool:
        now = self._clock.now()
        async with self._database.write() as connection:
            if not await leases.release(connection, claim, "PENDING", now):
                return False
            await outbox.add(connection, queue, claim.task_id, now)
        return True

    async def close_ended_logs(self) -> int:
        """Write the last events that crashes left out and return how many there were."""
        query = (
            select(tasks.c.id)
            .join(event_logs, event_logs.c.task_id == tasks.c.id)
            .where(tasks.c.state.in_(ENDED), event_logs.c.is_closed.is_(False))
            .limit(BATCH)
        )
        async with self._database.read() as connection:
            task_ids = (await connection.execute(query)).scalars().all()
        for task_id in task_ids:
            await close_from_row(self._database, self._log, task_id)
        return len(task_ids)

    async def expire_logs(self) -> int:
        """Let go of logs past their time to live and return how many there were.

        A task that nobody keeps, such as an unsaved chat, goes with its log.
        """
        now = self._clock.now()
        query = (
            select(tasks.c.id, tasks.c.kind, tasks.c.payload)
            .where(
                tasks.c.log_expired_at.is_(None),
                tasks.c.finished_at <= now - timedelta(seconds=self._limits.log_ttl_s),
            )
            .limit(BATCH)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        expired = []
        for row in rows:
            if row.kind in self._registry and not self._registry.get(row.kind).is_kept(row.payload):
                await remove(self._database, self._log, row.id)
                continue
            # An open log would not let go of its events.
            await close_from_row(self._database, self._log, row.id)
            await self._log.expire(row.id)
            expired.append(row.id)
        if expired:
            async with self._database.write() as connection:
                await connection.execute(
                    update(tasks).where(tasks.c.id.in_(expired)).values(log_expired_at=now)
                )
        return len(rows)


def _interrupted(text: dict[str, str], deaths: int, is_repeatable: bool) -> Outcome:
    if is_repeatable and deaths >= DEATHS:
        event, code = ERROR, "poison"
        message = t(
            "The task was set aside: {deaths} processes died while they ran it.", deaths=deaths
        )
    else:
        event, code = INTERRUPTED, "interrupted"
        message = t("The process that ran the task died; what it had done is kept.")
    return Outcome(
        state="FAILURE",
        event=event,
        answer=text.get(ANSWER, ""),
        thinking=text.get(THINKING, ""),
        failure=TaskFailure(code=code, message=message),
    )


async def _restore(writer: EventWriter, partial: dict[str, str]) -> None:
    """Say again what the row's checkpoint has and a log that died with its process has not."""
    said = writer.text
    for type_ in (THINKING, ANSWER):
        kept = partial.get(type_, "")
        if len(kept) > len(said[type_]) and kept.startswith(said[type_]):
            await writer.emit(type_, {"text": kept[len(said[type_]) :]})
