"""The contract of the EventLog port: the rules of the log, on every adapter and database.

`log` is the adapter in the writer's process, `elsewhere` the same log seen from another one.
"""

import asyncio
import itertools
import shutil
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillspace.core.adapters.eventlog_memory import MemoryEventLog
from skillspace.core.adapters.eventlog_sql import SqlEventLog
from skillspace.core.db.engine import create_database
from skillspace.core.errors import Conflict, InvalidInput, LeaseLost, NotReplayable
from skillspace.core.events import (
    ANSWER,
    CANCELLED,
    ERROR,
    FINISH,
    INTERRUPTED,
    PAYLOAD_LIMIT_BYTES,
    PROGRESS,
    Event,
    coalesce,
    join_text,
)
from skillspace.core.ports import EventLog
from skillspace.core.values import Json
from tests.databases import KINDS, Server

LONG_S = 20.0
"""Longer than anything here takes: a test that waits this long has lost a wake-up."""

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


@pytest.fixture(scope="module", params=KINDS)
def shared_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Yield the URL of a database that all these tests share; each has a log of its own."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("log") / "test.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    elif request.param == "postgresql":
        server: Server = request.getfixturevalue("postgresql_server")
        url = server.create(f"TEMPLATE {request.getfixturevalue('postgresql_template')}")
        yield url
        server.drop(url, "WITH (FORCE)")
    else:
        yield request.getfixturevalue("mariadb_shared")


def new_task() -> str:
    """Return an id that no log has yet."""
    return str(uuid.uuid4())


def texts(*parts: str, after: int = 0) -> list[Event]:
    """Return answer events that follow a seq."""
    return [
        Event(seq=seq, type=ANSWER, payload={"text": part})
        for seq, part in enumerate(parts, after + 1)
    ]


async def write(log: EventLog, task: str, batches: Sequence[Sequence[str]]) -> str:
    """Write batches of texts and a last event; return the joined text."""
    head = await log.begin(task, 1)
    for batch in batches:
        events = texts(*batch, after=head)
        await log.append(task, 1, events)
        head += len(events)
    await log.append(task, 1, [Event(seq=head + 1, type=FINISH)])
    return "".join(itertools.chain.from_iterable(batches))


async def read_from(log: EventLog, task: str, after: int, page: int) -> list[Event]:
    """Read in pages, waiting for more, up to the last event."""
    events: list[Event] = []
    async with asyncio.timeout(LONG_S), log.watch(task) as ear:
        while not (events and events[-1].is_terminal):
            found = await log.read(task, events[-1].seq if events else after, page)
            events += found
            if not found:
                await ear.wait(LONG_S)
    return events


class Rules:
    """What holds for every log."""

    async def test_events_are_numbered_from_one_without_gaps(self, log: EventLog) -> None:
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

    async def test_an_append_may_be_sent_again(self, log: EventLog) -> None:
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

    async def test_a_payload_has_a_limit(self, log: EventLog) -> None:
        """Rule 1: 64 KiB of JSON fit, one byte more is refused with its whole batch."""
        task = new_task()
        await log.begin(task, 1)
        room = PAYLOAD_LIMIT_BYTES - len(b'{"text":""}')
        await log.append(task, 1, texts("界" * (room // 3)))
        with pytest.raises(InvalidInput):
            await log.append(task, 1, texts("small", "x" * (room + 1), after=1))
        assert await log.head(task) == (1, False)

    async def test_only_the_newest_writer_writes(self, log: EventLog, elsewhere: EventLog) -> None:
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

    async def test_nobody_writes_before_the_log_is_begun(self, log: EventLog) -> None:
        """Rule 1: an append to a log that nobody opened is a writer without a lease."""
        with pytest.raises(LeaseLost):
            await log.append(new_task(), 1, texts("a"))

    async def test_many_may_begin_one_log_at_once(self, log: EventLog, elsewhere: EventLog) -> None:
        """Healers in several processes may open the same new log together."""
        task = new_task()
        heads = await asyncio.gather(*(one.begin(task, 3) for one in (log, elsewhere) * 4))
        assert set(heads) == {0}

    @pytest.mark.parametrize("last", [FINISH, ERROR, CANCELLED, INTERRUPTED])
    async def test_nothing_follows_the_last_event(self, log: EventLog, last: str) -> None:
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

    async def test_a_batch_with_something_after_its_end_is_refused(self, log: EventLog) -> None:
        """Rule 3: the last event is the last one inside a batch too."""
        task = new_task()
        await log.begin(task, 1)
        with pytest.raises(Conflict):
            await log.append(task, 1, [Event(seq=1, type=FINISH), Event(seq=2, type=FINISH)])
        assert await log.head(task) == (0, False)

    async def test_one_of_two_endings_wins(self, log: EventLog, elsewhere: EventLog) -> None:
        """Rule 3: two healers that end a log at once leave one last event."""
        task = new_task()
        await log.begin(task, 1)
        ends = [
            one.append(task, 1, [Event(seq=1, type=INTERRUPTED)]) for one in (log, elsewhere) * 3
        ]
        await asyncio.gather(*ends, return_exceptions=True)
        assert [event.seq for event in await log.read(task)] == [1]

    @EXAMPLES
    @given(
        batches=st.lists(st.lists(TEXT, min_size=1, max_size=6), max_size=6),
        cuts=st.lists(st.integers(0, 40), min_size=1, max_size=4),
        page=st.integers(1, 9),
    )
    async def test_any_reader_joins_the_same_bytes(
        self,
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

    async def test_no_wake_up_falls_between_reading_and_waiting(self, log: EventLog) -> None:
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

    async def test_a_reader_elsewhere_comes_to_look(
        self, log: EventLog, elsewhere: EventLog
    ) -> None:
        """Rule 2: a reader in another process is not left waiting for a wake-up from this one."""
        task = new_task()
        await log.begin(task, 1)
        async with elsewhere.watch(task) as ear, asyncio.timeout(LONG_S / 2):
            waiting = asyncio.create_task(ear.wait(LONG_S))
            await log.append(task, 1, texts("x"))
            await waiting
            while not await elsewhere.read(task):
                await ear.wait(LONG_S)

    async def test_every_reader_is_woken(self, log: EventLog) -> None:
        """Rule 6: one reader's ring is not another one's silence."""
        task = new_task()
        await log.begin(task, 1)
        readers = [asyncio.create_task(read_from(log, task, 0, 2)) for _ in range(20)]
        await asyncio.sleep(0)
        await log.append(task, 1, texts("a", "b", "c"))
        await log.append(task, 1, [Event(seq=4, type=FINISH)])
        for reader in readers:
            assert join_text(await reader) == "abc"

    async def test_a_slow_reader_costs_the_writer_nothing(self, log: EventLog) -> None:
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

    async def test_pages_are_bounded(self, log: EventLog) -> None:
        """Rule 6: a reader never gets more at once than it asked for."""
        task = new_task()
        await log.begin(task, 1)
        await log.append(task, 1, texts(*"abcdefghij"))
        assert [event.text for event in await log.read(task, 3, 4)] == list("defg")
        assert await log.read(task, 10) == []
        assert await log.read(task, 99) == []

    async def test_an_expired_log_says_so(self, log: EventLog, elsewhere: EventLog) -> None:
        """Rule 7: after its time to live a log's events are gone, and reading them says so."""
        task = new_task()
        await write(log, task, [["a", "b"]])
        await log.expire(task)
        await log.expire(task)
        for where in (log, elsewhere):
            with pytest.raises(NotReplayable):
                await where.read(task)
            with pytest.raises(NotReplayable):
                await where.read(task, 2)
            assert await where.read(task, 3) == []
            assert await where.head(task) == (3, True)

    async def test_an_open_log_does_not_expire(self, log: EventLog) -> None:
        """Rule 7: only a closed log may be let go or removed."""
        task = new_task()
        await log.begin(task, 1)
        await log.append(task, 1, texts("a"))
        await log.expire(task)
        await log.remove(task)
        assert join_text(await log.read(task)) == "a"

    async def test_a_removed_log_has_never_been(self, log: EventLog) -> None:
        """A removed log reads as empty, and other logs are untouched."""
        task, other = new_task(), new_task()
        await write(log, task, [["a"]])
        await write(log, other, [["b"]])
        await log.remove(task)
        await log.remove(task)
        assert await log.read(task) == []
        assert await log.head(task) == (0, False)
        assert join_text(await log.read(other)) == "b"

    async def test_an_unknown_log_is_empty(self, log: EventLog) -> None:
        """A reader may come before the writer."""
        assert await log.read(new_task()) == []
        assert await log.head(new_task()) == (0, False)

    async def test_payloads_come_back_as_they_went_in(self, log: EventLog) -> None:
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

    async def test_writers_of_many_logs_do_not_disturb_each_other(self, log: EventLog) -> None:
        """Logs begun and written at the same time each end whole."""
        tasks = [new_task() for _ in range(8)]
        said = await asyncio.gather(*(write(log, task, [["a", "b"], [task]]) for task in tasks))
        for task, text in zip(tasks, said, strict=True):
            assert join_text(await log.read(task)) == text


class TestMemory(Rules):
    """The log in this process's memory."""

    @pytest.fixture
    def log(self) -> EventLog:
        return MemoryEventLog()

    @pytest.fixture
    def elsewhere(self, log: EventLog) -> EventLog:
        return log


class TestSql(Rules):
    """The log in the database, on each kind of database, from two processes' points of view."""

    @pytest.fixture
    async def log(self, shared_url: str) -> AsyncIterator[EventLog]:
        database = create_database(shared_url)
        yield SqlEventLog(database)
        await database.close()

    @pytest.fixture
    async def elsewhere(self, shared_url: str) -> AsyncIterator[EventLog]:
        database = create_database(shared_url)
        yield SqlEventLog(database)
        await database.close()

    async def test_an_append_stands_or_falls_whole(self, log: EventLog) -> None:
        """A batch whose transaction fails leaves neither events nor a moved head."""
        task = new_task()
        await log.begin(task, 1)
        bad = Event(seq=2, type=ANSWER, payload={"text": "\ud800"})
        with pytest.raises(Exception, match="surrogates"):
            await log.append(task, 1, [*texts("a"), bad])
        assert await log.head(task) == (0, False)
        assert await log.read(task) == []
        await log.append(task, 1, texts("b"))
