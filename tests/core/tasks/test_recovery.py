"""What a crash leaves behind is mended: by a sweep, by a reader, at the next start."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from skillspace.core.adapters.eventlog_memory import MemoryEventLog
from skillspace.core.app import SkillSpace
from skillspace.core.chat.values import Ask
from skillspace.core.db.tables import event_logs, task_events, tasks
from skillspace.core.errors import NotReplayable
from skillspace.core.events import join_text
from skillspace.core.tasks.leases import claim_of
from skillspace.core.tasks.writer import EventWriter
from tests.spaces import (
    JumpingClock,
    ScriptedEngine,
    ask,
    open_space,
    read_all,
    read_until,
    space_settings,
)

DEAD = "{folder}/0123456789abcdef0123456789abcdef/host:1"


async def row_of(space: SkillSpace, task_id: str) -> Any:
    """Return a task's row."""
    async with space.database.read() as connection:
        return (await connection.execute(select(tasks).where(tasks.c.id == task_id))).one()


async def is_set(space: SkillSpace, task_id: str, column: str) -> bool:
    """Whether a column of a task's row has a value."""
    return getattr(await row_of(space, task_id), column) is not None


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return once this holds."""
    while True:
        if await holds():
            return
        await asyncio.sleep(0.01)


async def change(space: SkillSpace, task_id: str, **values: object) -> None:
    """Change a task's row behind everybody's back."""
    async with space.database.write() as connection:
        await connection.execute(update(tasks).where(tasks.c.id == task_id).values(**values))


async def abandon(space: SkillSpace, task_id: str, home: Path, **values: object) -> None:
    """Make a waiting task one whose process, on this host, has died while it ran."""
    folder = (home / "data" / "skillspace.db.run" / "folder-id").read_text()
    row = await row_of(space, task_id)
    dead: dict[str, object] = {
        "state": "STARTED",
        "fence": row.fence + 1,
        "attempt": row.attempt + 1,
        "lease_owner": DEAD.format(folder=folder),
        "lease_expires_at": JumpingClock().now() + timedelta(days=1),
    }
    await change(space, task_id, **{**dead, **values})


async def test_the_next_start_runs_what_was_accepted(home: Path) -> None:
    """A task nobody ran before its process went away is completed by the next one."""
    async with open_space(home) as space:
        task_id = await ask(space)
    async with open_space(home, ScriptedEngine(["done"])) as space:
        assert join_text(await read_all(space, task_id)) == "done"


async def test_a_death_before_any_text_is_repeated(home: Path) -> None:
    """What no reader saw runs again, whoever notices the death."""
    async with open_space(home) as space:
        task_id = await ask(space)
        await abandon(space, task_id, home)
    async with open_space(home, ScriptedEngine(["done"])) as space:
        events = await read_all(space, task_id)
        view = await space.tasks.get(space.actor, task_id)
    assert join_text(events) == "done"
    assert (view.state, view.attempt, view.deaths) == ("SUCCESS", 2, 1)


async def test_a_reader_alone_mends_a_death_after_text(home: Path) -> None:
    """A process that runs nothing ends what a dead one left: partial kept, `interrupted`."""
    gate = asyncio.Event()
    async with open_space(home, ScriptedEngine(["half", gate])) as writer:
        task_id = await ask(writer)
        await read_until(writer, task_id, "half")
        async with open_space(home) as reader:
            await abandon(reader, task_id, home)
            events = await read_all(reader, task_id)
            view = await reader.tasks.get(reader.actor, task_id)
            session = await reader.sessions.find(reader.actor, "last")
            answer = (await reader.sessions.messages(reader.actor, session.id))[-1]
    assert events[-1].type == "interrupted"
    assert join_text(events) == "half" == answer.text
    assert (view.state, answer.status) == ("FAILURE", "partial")
    assert view.error is not None
    assert view.error.code == "interrupted"


async def test_a_stopped_writer_cannot_write_after_a_takeover(home: Path) -> None:
    """A process that sleeps past its lease and wakes again changes neither log nor row."""
    settings = space_settings(home, lease_s=1.0, heartbeat_s=1000.0)
    gate = asyncio.Event()
    async with open_space(settings, ScriptedEngine(["first ", gate, "late"])) as sleeper:
        task_id = await ask(sleeper)
        await read_until(sleeper, task_id, "first")
        old = claim_of(await row_of(sleeper, task_id))
        async with open_space(settings) as reader:
            events = await read_all(reader, task_id)
        gate.set()
        late = EventWriter(MemoryEventLog(), old)
        await late.start()
        await late.stop()
        async with sleeper.database.read() as connection:
            fence = await connection.scalar(
                select(event_logs.c.fence).where(event_logs.c.task_id == task_id)
            )
        assert fence > old.fence
        again = await read_all(sleeper, task_id)
        view = await sleeper.tasks.get(sleeper.actor, task_id)
    assert [event.type for event in events] == ["answer", "interrupted"]
    assert again == events
    assert view.state == "FAILURE"


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
async def test_clocks_that_jump_steal_no_lease(home: Path, jump: timedelta) -> None:
    """An hour forward or back, in writer and reader, ends nothing that lives."""
    clock = JumpingClock()
    gate = asyncio.Event()
    settings = space_settings(home, lease_s=15.0, heartbeat_s=0.1)
    engine = ScriptedEngine(["before ", gate, "after"])
    async with (
        open_space(settings, engine, clock=clock) as writer,
        open_space(settings, ScriptedEngine(), clock=clock) as other,
    ):
        task_id = await ask(writer)
        await read_until(other, task_id, "before")
        clock.jump = jump
        reading = asyncio.create_task(read_all(other, task_id))
        await asyncio.sleep(0.5)
        gate.set()
        events = await reading
        second = await ask(writer)
        assert join_text(await read_all(other, second)) != ""
    assert join_text(events) == "before after"
    assert events[-1].type == "finish"


async def test_a_process_that_slept_does_not_take_its_sleep_for_silence(home: Path) -> None:
    """After a long pause of the observer itself a live writer is looked at anew."""
    clock = JumpingClock()
    gate = asyncio.Event()
    async with open_space(home, ScriptedEngine(["a", gate, "b"]), clock=clock) as space:
        task_id = await ask(space)
        await read_until(space, task_id, "a")
        await asyncio.sleep(0.3)
        clock.slept_s = 3600.0
        await asyncio.sleep(0.3)
        gate.set()
        events = await read_all(space, task_id)
    assert join_text(events) == "ab"
    assert events[-1].type == "finish"


async def test_a_task_that_kills_three_processes_is_set_aside(home: Path) -> None:
    """After the third death it fails as poison, and says so to its readers."""
    async with open_space(home) as space:
        task_id = await ask(space)
        await abandon(space, task_id, home, deaths=2)
        last = (await read_all(space, task_id))[-1]
        view = await space.tasks.get(space.actor, task_id)
    assert last.type == "error"
    assert last.payload["code"] == "poison"
    assert (view.state, view.deaths) == ("FAILURE", 3)


async def test_a_kind_of_a_newer_version_stays_queued(home: Path) -> None:
    """What this version cannot run is neither claimed, failed nor taken over; it can be seen."""
    async with open_space(home) as space:
        task_id = await ask(space)
        dead = await ask(space)
        await change(space, task_id, kind="hologram")
        await abandon(space, dead, home, kind="hologram")
    async with open_space(home, ScriptedEngine(["done"])) as space:
        known = await ask(space)
        await read_all(space, known)
        assert (await space.tasks.get(space.actor, task_id)).state == "PENDING"
        assert (await space.tasks.get(space.actor, dead)).state == "STARTED"
        assert (await space.tasks.cancel(space.actor, task_id)).state == "REVOKED"


async def test_a_wish_to_cancel_outlives_the_process_that_should_have_heard_it(
    home: Path,
) -> None:
    """Cancelling a task whose process is dead ends it at once as cancelled."""
    async with open_space(home) as space:
        task_id = await ask(space)
        await abandon(space, task_id, home)
        view = await space.tasks.cancel(space.actor, task_id)
        events = await read_all(space, task_id)
    assert view.state == "REVOKED"
    assert [event.type for event in events] == ["cancelled"]


async def test_one_bad_row_does_not_keep_the_others_waiting(home: Path) -> None:
    """A payload that nobody can read ends in an error, and everything else goes on."""
    async with open_space(home) as space:
        bad, dead_bad, good = await ask(space), await ask(space), await ask(space)
        await change(space, bad, payload={"turns": 5})
        await abandon(space, dead_bad, home, payload={"turns": 5}, deaths=2)
    async with open_space(home, ScriptedEngine(["done"])) as space:
        for task_id in (bad, dead_bad):
            assert (await read_all(space, task_id))[-1].type == "error"
            assert (await space.tasks.get(space.actor, task_id)).state == "FAILURE"
        assert join_text(await read_all(space, good)) == "done"


async def test_a_missing_last_event_is_written_by_any_reader(home: Path) -> None:
    """A crash between the row and its last event is healed from the row."""
    async with open_space(home, ScriptedEngine(["done"])) as space:
        task_id = await ask(space)
        before = await read_all(space, task_id)
    async with open_space(home) as space:
        async with space.database.write() as connection:
            this = task_events.c.task_id == task_id
            await connection.execute(
                task_events.delete().where(this, task_events.c.type == "finish")
            )
            log = event_logs.c.task_id == task_id
            await connection.execute(
                event_logs.update()
                .where(log)
                .values(head_seq=event_logs.c.head_seq - 1, is_closed=False)
            )
        readers = [read_all(space, task_id) for _ in range(3)]
        assert await asyncio.gather(*readers) == [before] * 3


async def test_old_logs_are_let_go(home: Path) -> None:
    """Past its time to live a log says so and the answer stays; what nobody keeps is gone."""
    clock = JumpingClock()
    async with open_space(home, ScriptedEngine(["kept"]), clock=clock) as space:
        kept = await ask(space)
        unsaved = await ask(space, save=False)
        await read_all(space, kept)
        await read_all(space, unsaved)
    clock.jump = timedelta(days=8)
    async with open_space(home, ScriptedEngine(), clock=clock) as space:
        async with asyncio.timeout(20):
            await until(lambda: is_set(space, kept, "log_expired_at"))
        with pytest.raises(NotReplayable):
            await read_all(space, kept)
        async with space.database.read() as connection:
            assert await connection.scalar(select(func.count()).select_from(task_events)) == 0
            assert await connection.scalar(select(func.count()).select_from(tasks)) == 1
        session = await space.sessions.find(space.actor, "last")
        answer = (await space.sessions.messages(space.actor, session.id))[-1]
    assert answer.text == "kept"


async def test_a_log_in_memory_leaves_its_text_in_the_row(home: Path) -> None:
    """Where the log dies with its process, the row's checkpoint is what is kept and read."""
    gate = asyncio.Event()
    async with open_space(
        home, ScriptedEngine(["half", gate]), event_log=MemoryEventLog()
    ) as writer:
        task_id = await ask(writer)
        async with asyncio.timeout(20):
            await until(lambda: is_set(writer, task_id, "partial"))
        async with open_space(home, event_log=MemoryEventLog()) as reader:
            await abandon(reader, task_id, home)
            events = await read_all(reader, task_id)
            session = await reader.sessions.find(reader.actor, "last")
            answer = (await reader.sessions.messages(reader.actor, session.id))[-1]
    assert join_text(events) == "half" == answer.text
    assert events[-1].type == "interrupted"


async def test_a_session_is_free_again_after_a_restart(home: Path) -> None:
    """The next prompt after a crash is accepted at once: what was pending is mended first."""
    async with open_space(home, ScriptedEngine(["half ", asyncio.Event()])) as space:
        exchange = await space.chat.ask(space.actor, Ask(prompt="hi"))
        await read_until(space, exchange.task_id, "half")
        await abandon(space, exchange.task_id, home)
        async with open_space(home, ScriptedEngine(["fine"])) as after:
            again = await ask(after, "more", session_id=exchange.session_id)
            assert join_text(await read_all(after, again)) == "fine"
