"""Runs tasks in this process: claims what the queue offers, keeps the lease, ends it for good.

One per opened app that may work; commands that only look open the app without it.
A handler is stopped for one of three reasons, and each ends differently: somebody cancelled
the task, another process took its lease, or this process is shutting down.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from skillspace.core.clock import Clock
from skillspace.core.db.engine import Database
from skillspace.core.errors import (
    Interrupted,
    InvalidInput,
    LeaseLost,
    SkillSpaceError,
    Temporary,
    Unavailable,
)
from skillspace.core.events import (
    ANSWER,
    ERROR,
    FINISH,
    INTERRUPTED,
    PROGRESS,
    RETRY,
    THINKING,
)
from skillspace.core.ports import EventLog, TaskQueue
from skillspace.core.tasks import leases
from skillspace.core.tasks.ending import cancelled, end_row, terminal_payload
from skillspace.core.tasks.limits import TaskLimits
from skillspace.core.tasks.overtaken import persist
from skillspace.core.tasks.registry import Registry
from skillspace.core.tasks.values import Claim, Outcome, TaskFailure
from skillspace.core.tasks.writer import EventWriter
from skillspace.core.text import t
from skillspace.core.values import Json

CANCEL_POLL_S: Final = 0.2
CHECKPOINT_S: Final = 0.03
ATTEMPTS: Final = 5
QUEUE_PAUSE_S: Final = 1.0
"""Wait before a queue that was away is asked for hints again."""
STOP_S: Final = 10.0
"""Longest wait at a shutdown for handlers to stop; what is later is left to recovery."""

_log = logging.getLogger(__name__)


class Running:
    """One attempt on its way: what the handler sees as its context."""

    def __init__(self, claim: Claim, writer: EventWriter, database: Database) -> None:
        self.claim = claim
        self.writer = writer
        self.stop_reason: str | None = None
        self.handler: asyncio.Task[dict[str, Json]] | None = None
        self._database = database

    async def emit(self, type_: str, payload: dict[str, Json]) -> None:
        """Add an event to the task's log."""
        await self.writer.emit(type_, payload)

    async def progress(self, current: int, total: int) -> None:
        """Say how far the work is, to readers of the log and of the row."""
        meta: dict[str, Json] = {"current": current, "total": total}
        await self.writer.emit(PROGRESS, meta)
        await leases.record_progress(self._database, self.claim, meta, None)

    def begin(self, handler: asyncio.Task[dict[str, Json]]) -> None:
        """Take the handler that was started, and stop it if that was asked for meanwhile."""
        self.handler = handler
        if self.stop_reason is not None:
            handler.cancel()

    def stop(self, reason: str) -> None:
        """Stop the handler, now or as soon as it begins; the first reason given counts."""
        if self.stop_reason is None:
            self.stop_reason = reason
            if self.handler is not None:
                self.handler.cancel()


class Runner:
    """Takes hints, claims rows, runs handlers.

    Args:
        database: Where tasks are.
        log: Where their events go.
        queue: Where hints come from.
        registry: The kinds this process can run; others are left for those who can.
        owner: This process's name, from its lock.
        clock: For rows.
        limits: Concurrency and lease.
    """

    def __init__(
        self,
        database: Database,
        log: EventLog,
        queue: TaskQueue,
        registry: Registry,
        *,
        owner: str,
        clock: Clock,
        limits: TaskLimits,
    ) -> None:
        self._database = database
        self._log = log
        self._queue = queue
        self._registry = registry
        self._owner = owner
        self._clock = clock
        self._limits = limits
        self._running: dict[str, Running] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._consumer: asyncio.Task[None] | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._places = asyncio.Semaphore(limits.concurrency)
        self._is_stopping = False

    @property
    def running_ids(self) -> tuple[str, ...]:
        """The tasks that run here now."""
        return tuple(self._running)

    def start(self) -> None:
        """Begin to take hints."""
        self._consumer = asyncio.create_task(self._consume(), name="runner-consume")
        beat = self._every(self._limits.heartbeat_s, self._beat)
        poll = self._every(CANCEL_POLL_S, self._poll)
        self._loops = [
            asyncio.create_task(beat, name="runner-heartbeat"),
            asyncio.create_task(poll, name="runner-poll"),
        ]

    async def drain(self) -> None:
        """Take no more hints and wait until everything that runs here has ended."""
        await self._stop_consuming()
        while self._attempts:
            await asyncio.wait(self._attempts)

    async def stop(self) -> None:
        """Stop taking hints and hand over what runs: back to the queue, or kept as partial."""
        self._is_stopping = True
        await self._stop_consuming()
        for running in list(self._running.values()):
            running.stop("shutdown")
        if self._attempts:
            _, late = await asyncio.wait(self._attempts, timeout=STOP_S)
            if late:
                _log.warning("%d tasks did not stop in time; others will end them", len(late))
                for attempt in late:
                    attempt.cancel()
                await asyncio.wait(late, timeout=CANCEL_POLL_S)
        # Until here they keep the leases of what is still being ended.
        await _cancel(self._loops)
        self._loops = []

    def cancel(self, task_id: str) -> bool:
        """Stop a task that runs here at once; says whether it does."""
        running = self._running.get(task_id)
        if running is not None:
            running.stop("cancel")
        return running is not None

    async def _stop_consuming(self) -> None:
        if self._consumer is not None:
            await _cancel([self._consumer])
            self._consumer = None

    async def _consume(self) -> None:
        while True:
            try:
                async for task_id in self._queue.consume():
                    await self._places.acquire()
                    attempt = asyncio.create_task(self._attempt(task_id), name=f"task-{task_id}")
                    self._attempts.add(attempt)
                    attempt.add_done_callback(self._forget)
                return
            except Unavailable as error:
                _log.warning("the queue gives no hints: %s", error.message)
                await asyncio.sleep(QUEUE_PAUSE_S)

    def _forget(self, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        self._places.release()
        if not attempt.cancelled() and (error := attempt.exception()) is not None:
            # The row keeps its lease, so recovery will find it once this process is gone.
            _log.error("a task could not be ended", exc_info=error)

    async def _every(self, pause_s: float, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(pause_s)
            if self._running:
                try:
                    await step()
                except Exception:  # noqa: BLE001 - a beat that fails must not be the last one
                    _log.warning("running tasks could not be looked after", exc_info=True)

    async def _beat(self) -> None:
        await leases.renew(self._database, self.running_ids, self._lease())

    async def _poll(self) -> None:
        for standing in await leases.standings(self._database, self.running_ids):
            running = self._running.get(standing.task_id)
            if running is None:
                continue
            if standing.fence > running.claim.fence:
                running.stop("lost")
            elif standing.is_unwanted:
                running.stop("cancel")

    def _lease(self) -> leases.Lease:
        until = self._clock.now() + timedelta(seconds=self._limits.lease_s)
        return leases.Lease(owner=self._owner, until=until)

    async def _attempt(self, task_id: str) -> None:
        claim = await leases.claim(
            self._database, task_id, self._registry.kinds, self._lease(), self._clock.now()
        )
        if claim is None:
            return
        writer = EventWriter(self._log, claim)
        running = Running(claim, writer, self._database)
        self._running[task_id] = running
        if self._is_stopping:
            running.stop("shutdown")
        checkpoint: asyncio.Task[None] | None = None
        try:
            if claim.fence == 1:
                # Nobody was here before, so there is nothing to wait for.
                writer.begin()
            else:
                await writer.start()
            if not self._log.is_durable:
                checkpoint = asyncio.create_task(
                    self._checkpoint(running), name=f"checkpoint-{task_id}"
                )
            outcome = await self._run(running)
            await self._end(running, outcome)
        except LeaseLost:
            _log.warning("task %s was taken over by another process", task_id)
        finally:
            if checkpoint is not None:
                await _cancel([checkpoint])
            await writer.abandon()
            if self._running.get(task_id) is running:
                del self._running[task_id]

    async def _run(self, running: Running) -> Outcome | Temporary | None:
        """Run the handler to its end; None means: give the task back, untouched."""
        claim = running.claim
        try:
            task_type = self._registry.get(claim.kind)
            payload = msgspec.convert(claim.payload, task_type.payload)
            handler = asyncio.create_task(
                task_type.run(running, payload), name=f"handler-{claim.task_id}"
            )
            running.begin(handler)
            result = await handler
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if running.stop_reason is not None:
                return self._stopped(running)
            if this is None or this.cancelling():
                raise
            return _failed(SkillSpaceError(t("The task failed: it cancelled itself.")))
        except Temporary as error:
            if claim.attempt < ATTEMPTS and self._may_repeat(running):
                return error
            return _failed(error)
        except LeaseLost:
            raise
        except SkillSpaceError as error:
            return _failed(error)
        except msgspec.ValidationError as error:
            return _failed(InvalidInput(t("The task's payload is wrong: {why}", why=error)))
        except Exception as error:  # noqa: BLE001  # a handler's defect must not hang its readers
            _log.exception("task %s failed", claim.task_id)
            message = t("The task failed: {why}", why=f"{type(error).__name__}: {error}"[:500])
            return _failed(SkillSpaceError(message))
        return Outcome(state="SUCCESS", event=FINISH, result=result)

    def _may_repeat(self, running: Running) -> bool:
        """Whether another attempt would not say something twice."""
        task_type = self._registry.get(running.claim.kind)
        return task_type.is_repeatable or not running.writer.has_text

    def _stopped(self, running: Running) -> Outcome | None:
        if running.stop_reason == "lost":
            raise LeaseLost(t("Another process runs task {task} now.", task=running.claim.task_id))
        if running.stop_reason == "cancel":
            return cancelled()
        if self._may_repeat(running):
            return None
        interrupted = Interrupted(t("The process stopped; what was done is kept."))
        return Outcome(state="FAILURE", event=INTERRUPTED, failure=TaskFailure.of(interrupted))

    async def _end(self, running: Running, ended: Outcome | Temporary | None) -> None:
        """Write the end; not to be cut short by a shutdown that began meanwhile."""
        claim, writer = running.claim, running.writer
        if isinstance(ended, Temporary):
            await writer.emit(
                RETRY,
                {"attempt": claim.attempt, "delay_s": ended.delay_s, "message": ended.message},
            )
        await writer.stop()
        if ended is None or isinstance(ended, Temporary):
            error = ended
            if await persist(lambda: self._give_back(claim, error)):
                return
            # Somebody asked to cancel it at this very moment, or has taken it.
            ended = cancelled()
        text = writer.text
        outcome = msgspec.structs.replace(ended, answer=text[ANSWER], thinking=text[THINKING])
        now = self._clock.now()
        written = await end_row(self._database, self._registry, claim, outcome, now)
        if written is None:
            raise LeaseLost(t("Another process runs task {task} now.", task=claim.task_id))
        await writer.close_log(written.event, terminal_payload(written))

    async def _give_back(self, claim: Claim, error: Temporary | None) -> bool:
        now = self._clock.now()
        async with self._database.write() as connection:
            if error is None:
                return await leases.release(connection, claim, "PENDING", now)
            later = now + timedelta(seconds=error.delay_s)
            return await leases.release(connection, claim, "RETRY", later)

    async def _checkpoint(self, running: Running) -> None:
        """Keep the text in the task's row, where the log itself would not survive a crash."""
        written = 0
        while True:
            await asyncio.sleep(CHECKPOINT_S)
            text = running.writer.text
            length = sum(map(len, text.values()))
            if length > written:
                with contextlib.suppress(SkillSpaceError):
                    await leases.record_progress(self._database, running.claim, None, dict(text))
                    written = length


async def _cancel(loops: Sequence[asyncio.Task[None]]) -> None:
    """Cancel these and wait until they are gone; a cancellation of ours stays ours."""
    for loop in loops:
        loop.cancel()
    if loops:
        await asyncio.wait(loops)


def _failed(error: SkillSpaceError) -> Outcome:
    return Outcome(state="FAILURE", event=ERROR, failure=TaskFailure.of(error))
