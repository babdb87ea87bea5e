"""The one writer of a running task's log: gathers events for a moment, then appends them.

Text is durable at most `FLUSH_S` or `LIMIT_EVENTS` events behind what the handler said; the
first event goes out at once. Neighbouring texts are merged before they are stored, long ones
cut, and what no database stores is replaced, so `text` is always what readers join.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

import msgspec

from skillspace.core.errors import InvalidInput, SkillSpaceError
from skillspace.core.events import (
    ANSWER,
    MERGED_LIMIT_BYTES,
    PAYLOAD_LIMIT_BYTES,
    PROGRESS,
    TEXT_TYPES,
    THINKING,
    Event,
    coalesce,
)
from skillspace.core.ports import EventLog
from skillspace.core.tasks.overtaken import persist
from skillspace.core.tasks.values import Claim
from skillspace.core.text import t
from skillspace.core.values import Json

FLUSH_S: Final = 0.02
"""Pause between two appends; with the append itself well under the promised 50 ms."""
LIMIT_EVENTS: Final = 64
"""A handler that is this many events ahead of the log waits."""
PART_CHARACTERS: Final = MERGED_LIMIT_BYTES // 4
"""A longer text becomes several events; a character has at most four bytes."""

_log = logging.getLogger(__name__)


class EventWriter:
    """Numbers, gathers and appends the events of one attempt.

    Args:
        log: The event log.
        claim: The attempt; its fence is what lets this writer write.
    """

    def __init__(self, log: EventLog, claim: Claim) -> None:
        self._log = log
        self._claim = claim
        self._head = 0
        self._pending: list[Event] = []
        self._text: dict[str, list[str]] = {ANSWER: [], THINKING: []}
        self._wanted = asyncio.Event()
        self._hurry = asyncio.Event()
        self._opened = asyncio.Event()
        self._is_stopping = False
        self._drained = asyncio.Condition()
        self._flusher: asyncio.Task[None] | None = None
        self.has_text = False
        """Whether a reader may have seen any text."""
        self.failure: SkillSpaceError | None = None
        """Why nothing can be appended any more: the lease is lost or the database is gone."""

    def begin(self) -> None:
        """Start to open the log; events may be emitted meanwhile and are appended after it."""
        name = f"event-writer-{self._claim.task_id}"
        self._flusher = asyncio.create_task(self._flush_forever(), name=name)

    async def start(self) -> int:
        """Open the log, read what earlier attempts said, and return its head.

        Raises:
            SkillSpaceError: What keeps the log from being opened.
        """
        self.begin()
        await self._opened.wait()
        if self.failure is not None:
            raise self.failure
        return self._head

    @property
    def text(self) -> dict[str, str]:
        """All text in the log, joined, by event type."""
        return {type_: "".join(parts) for type_, parts in self._text.items()}

    async def emit(self, type_: str, payload: dict[str, Json]) -> None:
        """Add an event; waits while the log is too far behind.

        Raises:
            InvalidInput: The payload is over 64 KiB and no text that could be cut.
            SkillSpaceError: What keeps the log from taking events.
        """
        if self.failure is not None:
            raise self.failure
        if type_ in TEXT_TYPES:
            self.has_text = True
            text = _storable(Event(seq=0, type=type_, payload=payload).text)
            self._pending += [
                Event(seq=0, type=type_, payload={"text": part}) for part in _parts(text)
            ]
        else:
            if len(msgspec.json.encode(payload)) > PAYLOAD_LIMIT_BYTES:
                raise InvalidInput(
                    t("An event's payload may have {limit} bytes.", limit=PAYLOAD_LIMIT_BYTES)
                )
            if type_ == PROGRESS:
                # Only the last of several waiting steps says anything.
                self._pending = [event for event in self._pending if event.type != PROGRESS]
            self._pending.append(Event(seq=0, type=type_, payload=payload))
        self._wanted.set()
        if len(self._pending) >= LIMIT_EVENTS:
            self._hurry.set()
            async with self._drained:
                await self._drained.wait_for(lambda: not self._pending or self.failure is not None)

    async def stop(self) -> None:
        """Append what is left and stop.

        Raises:
            SkillSpaceError: What keeps the log from taking events.
        """
        if self._flusher is not None:
            self._is_stopping = True
            self._wanted.set()
            self._hurry.set()
            await self._flusher
            self._flusher = None
        if self.failure is not None:
            raise self.failure

    async def abandon(self) -> None:
        """Stop without appending anything more; does nothing after `stop`."""
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.wait({self._flusher})
            self._flusher = None

    async def close_log(self, type_: str, payload: dict[str, Json]) -> None:
        """Append the terminal event; the task's row must already say the same."""
        event = Event(seq=self._head + 1, type=type_, payload=payload)
        await persist(lambda: self._log.append(self._claim.task_id, self._claim.fence, [event]))

    async def _flush_forever(self) -> None:
        await self._guarded(self._open)
        self._opened.set()
        while self.failure is None and not (self._is_stopping and not self._pending):
            await self._wanted.wait()
            self._wanted.clear()
            self._hurry.clear()
            await self._guarded(self._append_pending)
            if not self._is_stopping:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FLUSH_S):
                        await self._hurry.wait()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work; what keeps it from being done is told to whoever emits."""
        try:
            await work()
        except SkillSpaceError as error:
            self.failure = error
        except Exception as error:  # noqa: BLE001 - a handler would wait for a dead writer
            _log.exception("the log of task %s takes no events", self._claim.task_id)
            self.failure = SkillSpaceError(
                t("The event log failed: {why}", why=f"{type(error).__name__}: {error}"[:500])
            )
        async with self._drained:
            self._drained.notify_all()

    async def _open(self) -> None:
        self._head = await persist(lambda: self._log.begin(self._claim.task_id, self._claim.fence))
        after = 0
        while after < self._head:
            page = await self._log.read(self._claim.task_id, after)
            self._keep(page)
            after = page[-1].seq

    async def _append_pending(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        events = [
            Event(seq=seq, type=event.type, payload=event.payload)
            for seq, event in enumerate(coalesce(pending), self._head + 1)
        ]
        await persist(lambda: self._log.append(self._claim.task_id, self._claim.fence, events))
        self._head = events[-1].seq
        self._keep(events)

    def _keep(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.type in TEXT_TYPES:
                self._text[event.type].append(event.text)
                self.has_text = True


def _storable(text: str) -> str:
    """Replace what UTF-8 or PostgreSQL cannot hold: lone surrogates and NUL."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _parts(text: str) -> Iterator[str]:
    for start in range(0, len(text), PART_CHARACTERS):
        yield text[start : start + PART_CHARACTERS]
