"""Running tasks: stopping at a shutdown, at any moment, without losing or hanging anything."""

import asyncio
from pathlib import Path

from skillspace.core.errors import Temporary
from skillspace.core.events import join_text
from skillspace.core.values import EngineInfo
from tests.spaces import (
    ScriptedEngine,
    ask,
    open_space,
    read_all,
    read_until,
    space_settings,
    wait_for_state,
)


class Deaf(ScriptedEngine):
    """An engine that needs a moment to hear that it should stop."""

    async def describe(self) -> EngineInfo:
        await asyncio.sleep(0.05)
        return await super().describe()


async def test_a_shutdown_keeps_what_was_said(home: Path) -> None:
    """Closing the space while an answer runs keeps the partial as `interrupted`."""
    async with open_space(home, ScriptedEngine(["half", asyncio.Event()])) as space:
        task_id = await ask(space)
        await read_until(space, task_id, "half")
    async with open_space(home) as space:
        events = await read_all(space, task_id)
        view = await space.tasks.get(space.actor, task_id)
    assert join_text(events) == "half"
    assert events[-1].type == "interrupted"
    assert view.state == "FAILURE"


async def test_a_shutdown_before_any_text_gives_the_task_back(home: Path) -> None:
    """What said nothing yet is PENDING again, and the next start completes it."""
    async with open_space(home, ScriptedEngine([asyncio.Event()])) as space:
        task_id = await ask(space)
        await wait_for_state(space, task_id, "STARTED")
    async with open_space(home) as space:
        assert (await space.tasks.get(space.actor, task_id)).state == "PENDING"
    async with open_space(home, ScriptedEngine(["done"])) as space:
        assert join_text(await read_all(space, task_id)) == "done"


async def test_a_shutdown_at_any_moment_of_the_start_hangs_nobody(home: Path) -> None:
    """Closed 0, 1, 2 … steps after a prompt was accepted, nothing runs on and nothing is lost."""
    tasks = []
    for steps in range(0, 60, 3):
        engine = Deaf(["a", asyncio.Event()])
        async with asyncio.timeout(20), open_space(home, engine) as space:
            tasks.append(await ask(space))
            for _ in range(steps):
                await asyncio.sleep(0.001)
        assert engine.running == 0
    async with open_space(home, ScriptedEngine(["done"])) as space:
        for task_id in tasks:
            assert (await read_all(space, task_id))[-1].type in ("finish", "interrupted")


async def test_a_cancel_at_any_moment_of_the_start_is_heard(home: Path) -> None:
    """Cancelled 0, 1, 2 … steps after it was accepted, a task ends as cancelled."""
    async with open_space(home, Deaf(["a", asyncio.Event()])) as space:
        for steps in range(0, 60, 3):
            task_id = await ask(space)
            for _ in range(steps):
                await asyncio.sleep(0.001)
            await space.tasks.cancel(space.actor, task_id)
            assert (await read_all(space, task_id))[-1].type == "cancelled"
            assert (await space.tasks.get(space.actor, task_id)).state == "REVOKED"


async def test_a_cancel_while_a_task_waits_for_its_next_attempt_is_heard(home: Path) -> None:
    """A task in RETRY, or on its way there, can be cancelled like any other."""
    async with open_space(home, ScriptedEngine([Temporary("busy", delay_s=60)])) as space:
        task_id = await ask(space)
        await wait_for_state(space, task_id, "RETRY")
        await space.tasks.cancel(space.actor, task_id)
        assert (await read_all(space, task_id))[-1].type == "cancelled"


async def test_a_handler_that_cancels_itself_fails(home: Path) -> None:
    """A cancellation that nobody asked for is a failure, not a task without an end."""
    engine = ScriptedEngine([asyncio.CancelledError()])
    async with open_space(home, engine) as space:
        events = await read_all(space, await ask(space))
    assert [event.type for event in events] == ["error"]


async def test_no_more_tasks_run_at_once_than_allowed(home: Path) -> None:
    """The rest waits its turn and is run too."""
    gate = asyncio.Event()
    engine = ScriptedEngine([gate, "done"])
    async with open_space(home, engine) as space:
        allowed = space.settings.tasks.concurrency
        tasks = [await ask(space) for _ in range(allowed + 3)]
        async with asyncio.timeout(20):
            for _ in iter(lambda: engine.running < allowed, False):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert engine.running == allowed
        gate.set()
        for task_id in tasks:
            assert join_text(await read_all(space, task_id)) == "done"


async def test_a_heartbeat_keeps_a_silent_task(home: Path) -> None:
    """A task that says nothing for longer than its lease is not taken while its process beats."""
    settings = space_settings(home, lease_s=1.0, heartbeat_s=0.1)
    gate = asyncio.Event()
    async with open_space(settings, ScriptedEngine(["a", gate, "b"])) as writer:
        task_id = await ask(writer)
        async with open_space(settings) as reader:
            reading = asyncio.create_task(read_all(reader, task_id))
            await asyncio.sleep(1.6)
            gate.set()
            assert join_text(await reading) == "ab"
