"""The one writer of a log: batches, back-pressure, failures that hang nobody."""

import asyncio
from collections.abc import Sequence

import pytest

from skillspace.core.adapters.eventlog_memory import MemoryEventLog
from skillspace.core.errors import DatabaseUnavailable, InvalidInput, SkillSpaceError, Temporary
from skillspace.core.events import ANSWER, PROGRESS, STATUS, THINKING, Event, join_text
from skillspace.core.tasks.values import Claim
from skillspace.core.tasks.writer import LIMIT_EVENTS, EventWriter

TASK = "task"


def claim(fence: int = 1) -> Claim:
    """Return the right to write."""
    return Claim(task_id=TASK, kind="chat", owner_id=1, fence=fence, attempt=1, payload={})


class StubbornLog(MemoryEventLog):
    """A log whose first appends raise."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)
        self.batches: list[int] = []

    async def append(self, task_id: str, fence: int, events: Sequence[Event]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        await super().append(task_id, fence, events)
        self.batches.append(len(events))


async def test_what_is_said_is_logged_in_order() -> None:
    """Neighbouring texts merge, everything else stays, numbers follow each other."""
    log = MemoryEventLog()
    writer = EventWriter(log, claim())
    await writer.start()
    for number in range(300):
        await writer.emit(ANSWER if number % 100 else STATUS, {"text": f"{number} "})
    await writer.emit(THINKING, {"text": "hm"})
    await writer.stop()
    await writer.close_log("finish", {})
    events = await log.read(TASK)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert join_text(events) == "".join(f"{n} " for n in range(300) if n % 100)
    assert writer.text == {ANSWER: join_text(events), THINKING: "hm"}
    assert len(events) < 60


async def test_a_new_attempt_goes_on_where_the_log_ends() -> None:
    """Its numbers follow, its text begins with what was said before, the old writer is out."""
    log = MemoryEventLog()
    first = EventWriter(log, claim(1))
    await first.start()
    await first.emit(ANSWER, {"text": "one "})
    await first.stop()
    second = EventWriter(log, claim(2))
    assert await second.start() == 1
    assert second.has_text
    await second.emit(ANSWER, {"text": "two"})
    await second.stop()
    assert second.text[ANSWER] == "one two" == join_text(await log.read(TASK))
    with pytest.raises(SkillSpaceError, match="Another process"):
        await first.close_log("finish", {})


async def test_a_fast_handler_waits_for_the_log() -> None:
    """Nobody gets more than a batch ahead of what is stored."""
    log = StubbornLog()
    writer = EventWriter(log, claim())
    await writer.start()
    for _ in range(20 * LIMIT_EVENTS):
        await writer.emit(STATUS, {})
    await writer.stop()
    assert sum(log.batches) == 20 * LIMIT_EVENTS
    assert max(log.batches) <= LIMIT_EVENTS


async def test_an_overtaken_append_is_repeated() -> None:
    """A transaction that another one got in the way of is done again, unseen by the handler."""
    log = StubbornLog(*[Temporary("overtaken", delay_s=0) for _ in range(4)])
    writer = EventWriter(log, claim())
    await writer.start()
    await writer.emit(ANSWER, {"text": "x"})
    await writer.stop()
    assert join_text(await log.read(TASK)) == "x"


async def _say_much(writer: EventWriter) -> None:
    for _ in range(10 * LIMIT_EVENTS):
        await writer.emit(STATUS, {})


@pytest.mark.parametrize("error", [DatabaseUnavailable("gone"), RuntimeError("a defect")])
async def test_a_log_that_fails_stops_the_handler(error: Exception) -> None:
    """A handler that waits for room is told, and so is everything it says afterwards."""
    writer = EventWriter(StubbornLog(error), claim())
    await writer.start()
    async with asyncio.timeout(20):
        with pytest.raises(SkillSpaceError):
            await _say_much(writer)
        with pytest.raises(SkillSpaceError):
            await writer.stop()
    assert writer.text[ANSWER] == ""


async def test_what_never_reached_the_log_is_not_in_the_text() -> None:
    """The text that will be stored is what readers can join, even when the log failed."""
    writer = EventWriter(StubbornLog(DatabaseUnavailable("gone")), claim())
    await writer.start()
    await writer.emit(ANSWER, {"text": "lost"})
    with pytest.raises(DatabaseUnavailable):
        await writer.stop()
    assert writer.text[ANSWER] == ""
    assert writer.has_text


async def test_progress_says_only_the_latest() -> None:
    """Of several steps that wait for one append the last one is logged."""
    log = MemoryEventLog()
    writer = EventWriter(log, claim())
    await writer.start()
    for number in range(1, 50):
        await writer.emit(PROGRESS, {"current": number, "total": 50})
    await writer.stop()
    events = await log.read(TASK)
    assert events[-1].payload == {"current": 49, "total": 50}
    assert len(events) < 5


async def test_a_large_payload_is_refused_where_it_is_said() -> None:
    """The handler gets the error; the log goes on."""
    log = MemoryEventLog()
    writer = EventWriter(log, claim())
    await writer.start()
    with pytest.raises(InvalidInput):
        await writer.emit(STATUS, {"text": "x" * 70_000})
    await writer.emit(ANSWER, {"text": "fine"})
    await writer.stop()
    assert join_text(await log.read(TASK)) == "fine"


async def test_an_abandoned_writer_is_gone() -> None:
    """It leaves no background task, whether it was started, stopped or neither."""
    before = asyncio.all_tasks()
    for steps in (0, 1, 2):
        writer = EventWriter(MemoryEventLog(), claim())
        if steps:
            await writer.start()
        if steps > 1:
            await writer.stop()
        await writer.abandon()
    assert asyncio.all_tasks() == before
