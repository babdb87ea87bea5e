"""The contract of the EventLog port: what readers get; rules 2, 5 and 6, on every adapter."""

import asyncio
import tracemalloc

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillspace.core.events import FINISH, PROGRESS, Event, coalesce, join_text
from skillspace.core.ports import EventLog
from skillspace.core.values import Json
from tests.contracts.event_logs import LONG_S, new_task, read_from, texts, write

# One example asks the log some twenty times; real servers answer each in milliseconds.
EXAMPLES = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00"),
        st.sampled_from('你好，世界。简历🙂👩‍👩‍👧é\n"\\'),
    ),
    max_size=12,
)


@EXAMPLES
@given(
    batches=st.lists(st.lists(TEXT, min_size=1, max_size=6), max_size=6),
    cuts=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    page=st.integers(1, 9),
)
async def test_any_reader_joins_the_same_bytes(
    log: EventLog,
    elsewhere: EventLog,
    batches: list[list[str]],
    cuts: list[int],
    page: int,
) -> None:
    """Rule 2: what is read before and after any cut, here or elsewhere, joins to the text.

    The readers follow while the writer writes; each leaves at its cut and comes back.
    """
    task = new_task()
    writer = asyncio.create_task(write(log, task, batches))
    count = sum(map(len, batches)) + 1
    readers = [
        read_from(where, task, min(cut, count - 1), page)
        for cut in cuts
        for where in (log, elsewhere)
    ]
    rests = await asyncio.gather(*readers)
    said = await writer
    whole = await log.read(task, 0, 1000)
    assert [event.seq for event in whole] == list(range(1, count + 1))
    assert join_text(whole).encode() == said.encode()
    for cut, rest in zip([cut for cut in cuts for _ in "12"], rests, strict=True):
        cut = min(cut, count - 1)
        assert [event.seq for event in rest] == list(range(cut + 1, count + 1))
        assert (join_text(whole[:cut]) + join_text(rest)).encode() == said.encode()
        assert (join_text(whole[:cut]) + join_text(coalesce(rest))).encode() == said.encode()


async def test_no_wake_up_falls_between_reading_and_waiting(log: EventLog) -> None:
    """Rule 5: what is appended after a read and before the wait still wakes the reader."""
    task = new_task()
    await log.begin(task, 1)
    async with log.watch(task) as ear:
        for seq in range(1, 6):
            assert await log.read(task, seq - 1) == []
            await log.append(task, 1, texts("x", after=seq - 1))
            async with asyncio.timeout(LONG_S / 2):
                await ear.wait(LONG_S)
            assert [event.seq for event in await log.read(task, seq - 1)] == [seq]


async def test_a_reader_elsewhere_comes_to_look(log: EventLog, elsewhere: EventLog) -> None:
    """Rule 2: a reader in another process is not left waiting for a wake-up from this one."""
    task = new_task()
    await log.begin(task, 1)
    async with elsewhere.watch(task) as ear, asyncio.timeout(LONG_S / 2):
        waiting = asyncio.create_task(ear.wait(LONG_S))
        await log.append(task, 1, texts("x"))
        await waiting
        while not await elsewhere.read(task):
            await ear.wait(LONG_S)


async def test_every_reader_is_woken(log: EventLog) -> None:
    """Rule 6: one reader's ring is not another one's silence."""
    task = new_task()
    await log.begin(task, 1)
    readers = [asyncio.create_task(read_from(log, task, 0, 2)) for _ in range(20)]
    await asyncio.sleep(0)
    await log.append(task, 1, texts("a", "b", "c"))
    await log.append(task, 1, [Event(seq=4, type=FINISH)])
    for reader in readers:
        assert join_text(await reader) == "abc"


async def test_a_slow_reader_costs_the_writer_nothing(log: EventLog) -> None:
    """Rule 6: a watcher that never reads holds no events, and no append waits for it."""
    task = new_task()
    await log.begin(task, 1)
    events = texts(*("word " for _ in range(200)))
    async with log.watch(task), log.watch(task) as slow:
        await log.append(task, 1, events[:100])
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await log.append(task, 1, events[100:])
            kept = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        await slow.wait(LONG_S)
        merged = list(coalesce(await log.read(task)))
    # Two watchers with a queue each would hold these events twice over.
    assert kept < 1_000_000
    assert len(merged) == 1
    assert merged[0].seq == 200
    assert merged[0].text == "word " * 200


async def test_pages_are_bounded(log: EventLog) -> None:
    """Rule 6: a reader never gets more at once than it asked for."""
    task = new_task()
    await log.begin(task, 1)
    await log.append(task, 1, texts(*"abcdefghij"))
    assert [event.text for event in await log.read(task, 3, 4)] == list("defg")
    assert await log.read(task, 10) == []
    assert await log.read(task, 99) == []


async def test_an_unknown_log_is_empty(log: EventLog) -> None:
    """A reader may come before the writer."""
    assert await log.read(new_task()) == []
    assert await log.head(new_task()) == (0, False)


async def test_payloads_come_back_as_they_went_in(log: EventLog) -> None:
    """Every JSON value survives, in every language."""
    task = new_task()
    await log.begin(task, 1)
    payload: dict[str, Json] = {
        "current": 1,
        "total": None,
        "列表": [True, 2.5, {"ключ": '🙂\n"\\\t'}],
        "": "",
    }
    await log.append(task, 1, [Event(seq=1, type=PROGRESS, payload=payload)])
    assert (await log.read(task))[0].payload == payload
