"""The contract of the EventLog port: who may write what; rules 1 and 3, on every adapter."""

import asyncio

import pytest

from skillspace.core.errors import Conflict, InvalidInput, LeaseLost
from skillspace.core.events import (
    ANSWER,
    CANCELLED,
    ERROR,
    FINISH,
    INTERRUPTED,
    PAYLOAD_LIMIT_BYTES,
    Event,
    join_text,
)
from skillspace.core.ports import EventLog
from tests.contracts.event_logs import new_task, texts, write


async def test_events_are_numbered_from_one_without_gaps(log: EventLog) -> None:
    """Rule 1: a log counts 1, 2, 3; a batch that leaves one out is refused whole."""
    task = new_task()
    assert await log.begin(task, 1) == 0
    await log.append(task, 1, texts("a", "b"))
    with pytest.raises(Conflict):
        await log.append(task, 1, texts("d", after=3))
    with pytest.raises(Conflict):
        await log.append(task, 1, [*texts("c", after=2), *texts("e", after=4)])
    with pytest.raises(Conflict):
        await log.append(task, 1, texts("x", "y", after=2)[::-1])
    assert [event.seq for event in await log.read(task)] == [1, 2]
    assert await log.head(task) == (2, False)


async def test_an_append_may_be_sent_again(log: EventLog) -> None:
    """Rule 1: what is at or below the head is a repeat and skipped, whole or in part."""
    task = new_task()
    await log.begin(task, 1)
    await log.append(task, 1, texts("a", "b"))
    await log.append(task, 1, texts("a", "b"))
    await log.append(task, 1, texts("a", "b", "c"))
    await log.append(task, 1, [Event(seq=4, type=FINISH)])
    await log.append(task, 1, [*texts("b", "c", after=1), Event(seq=4, type=FINISH)])
    assert join_text(await log.read(task)) == "abc"
    assert await log.head(task) == (4, True)


async def test_a_payload_has_a_limit(log: EventLog) -> None:
    """Rule 1: 64 KiB of JSON fit, one byte more is refused with its whole batch."""
    task = new_task()
    await log.begin(task, 1)
    room = PAYLOAD_LIMIT_BYTES - len(b'{"text":""}')
    await log.append(task, 1, texts("界" * (room // 3)))
    with pytest.raises(InvalidInput):
        await log.append(task, 1, texts("small", "x" * (room + 1), after=1))
    assert await log.head(task) == (1, False)


async def test_only_the_newest_writer_writes(log: EventLog, elsewhere: EventLog) -> None:
    """Rule 1: once a higher fence began, a lower one can neither append nor begin."""
    task = new_task()
    await log.begin(task, 1)
    await log.append(task, 1, texts("a"))
    assert await elsewhere.begin(task, 2) == 1
    with pytest.raises(LeaseLost):
        await log.append(task, 1, texts("b", after=1))
    with pytest.raises(LeaseLost):
        await log.begin(task, 1)
    await elsewhere.append(task, 2, texts("c", after=1))
    assert join_text(await log.read(task)) == "ac"


async def test_nobody_writes_before_the_log_is_begun(log: EventLog) -> None:
    """Rule 1: an append to a log that nobody opened is a writer without a lease."""
    with pytest.raises(LeaseLost):
        await log.append(new_task(), 1, texts("a"))


async def test_many_may_begin_one_log_at_once(log: EventLog, elsewhere: EventLog) -> None:
    """Healers in several processes may open the same new log together."""
    task = new_task()
    heads = await asyncio.gather(*(one.begin(task, 3) for one in (log, elsewhere) * 4))
    assert set(heads) == {0}


@pytest.mark.parametrize("last", [FINISH, ERROR, CANCELLED, INTERRUPTED])
async def test_nothing_follows_the_last_event(log: EventLog, last: str) -> None:
    """Rule 3: a terminal event closes the log for its writer and for later ones."""
    task = new_task()
    await log.begin(task, 1)
    await log.append(task, 1, [*texts("a"), Event(seq=2, type=last)])
    for fence in (1, 2):
        await log.begin(task, fence)
        with pytest.raises(Conflict):
            await log.append(task, fence, texts("b", after=2))
        with pytest.raises(Conflict):
            await log.append(task, fence, [Event(seq=3, type=ERROR)])
    assert [event.type for event in await log.read(task)] == [ANSWER, last]


async def test_a_batch_with_something_after_its_end_is_refused(log: EventLog) -> None:
    """Rule 3: the last event is the last one inside a batch too."""
    task = new_task()
    await log.begin(task, 1)
    with pytest.raises(Conflict):
        await log.append(task, 1, [Event(seq=1, type=FINISH), Event(seq=2, type=FINISH)])
    assert await log.head(task) == (0, False)


async def test_one_of_two_endings_wins(log: EventLog, elsewhere: EventLog) -> None:
    """Rule 3: two healers that end a log at once leave one last event."""
    task = new_task()
    await log.begin(task, 1)
    ends = [one.append(task, 1, [Event(seq=1, type=INTERRUPTED)]) for one in (log, elsewhere) * 3]
    await asyncio.gather(*ends, return_exceptions=True)
    assert [event.seq for event in await log.read(task)] == [1]


async def test_an_append_stands_or_falls_whole(log: EventLog) -> None:
    """A batch whose transaction fails leaves neither events nor a moved head."""
    task = new_task()
    await log.begin(task, 1)
    bad = Event(seq=2, type=ANSWER, payload={"text": "\ud800"})
    with pytest.raises(Exception, match="surrogates"):
        await log.append(task, 1, [*texts("a"), bad])
    assert await log.head(task) == (0, False)
    assert await log.read(task) == []
    await log.append(task, 1, texts("b"))


async def test_writers_of_many_logs_do_not_disturb_each_other(log: EventLog) -> None:
    """Logs begun and written at the same time each end whole."""
    tasks = [new_task() for _ in range(8)]
    said = await asyncio.gather(*(write(log, task, [["a", "b"], [task]]) for task in tasks))
    for task, text in zip(tasks, said, strict=True):
        assert join_text(await log.read(task)) == text
