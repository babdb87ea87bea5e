"""Tasks as their owners see them."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import update

from skillspace.core.app import SkillSpace
from skillspace.core.db.tables import tasks as task_table
from skillspace.core.errors import Conflict, Denied, InvalidInput, NotFound
from tests.spaces import ScriptedEngine, add_user, ask, open_space, read_all, read_until


async def test_a_task_is_found_by_the_beginning_of_its_id(home: Path) -> None:
    """A beginning that fits one task is enough; an empty, unknown or ambiguous one is not."""
    async with open_space(home) as space:
        tasks = [await ask(space) for _ in range(17)]
        assert (await space.tasks.get(space.actor, tasks[0])).id == tasks[0]
        assert (await space.tasks.get(space.actor, tasks[0][:20])).id == tasks[0]
        shared = {task[0] for task in tasks if sum(t[0] == task[0] for t in tasks) > 1}
        for name in ("", "%", "_" * 36, "0" * 36, shared.pop()):
            with pytest.raises(NotFound):
                await space.tasks.get(space.actor, name)


async def test_a_list_can_be_narrowed(home: Path) -> None:
    """By state, kind and number, newest first; the limit has a limit."""
    async with open_space(home) as space:
        first, second = await ask(space), await ask(space)
        await space.tasks.cancel(space.actor, first)
        listed = await space.tasks.list(space.actor)
        assert [task.id for task in listed] == [second, first]
        revoked = await space.tasks.list(space.actor, states=["REVOKED"])
        assert [task.id for task in revoked] == [first]
        assert await space.tasks.list(space.actor, kinds=["other"]) == []
        assert len(await space.tasks.list(space.actor, limit=1)) == 1
        for limit in (0, 1001):
            with pytest.raises(InvalidInput):
                await space.tasks.list(space.actor, limit=limit)


async def test_others_tasks_need_a_permission(home: Path) -> None:
    """Looking is one permission, touching another."""
    async with open_space(home) as space:
        task_id = await ask(space)
        watcher = await add_user(space.database, "watcher", "ai:task:view")
        assert (await space.tasks.get(watcher, task_id)).id == task_id
        assert [task.id for task in await space.tasks.list(watcher, everybody=True)] == [task_id]
        with pytest.raises(NotFound):
            await space.tasks.cancel(watcher, task_id)


async def test_submitting_needs_the_permission_of_the_kind(home: Path) -> None:
    """A refused or unknown submission leaves nothing, nor does a transaction that fails."""
    async with open_space(home) as space:
        nobody = await add_user(space.database, "nobody")
        for actor, kind, error in (
            (nobody, "chat", Denied),
            (space.actor, "hologram", InvalidInput),
        ):
            with pytest.raises(error):
                async with space.tasks.submitting() as submission:
                    await submission.submit(actor, kind, {})
        with pytest.raises(ZeroDivisionError):
            await _submit_and_fail(space)
        assert await space.tasks.list(space.actor) == []


async def _submit_and_fail(space: SkillSpace) -> None:
    async with space.tasks.submitting() as submission:
        await submission.submit(space.actor, "chat", {})
        raise ZeroDivisionError


async def test_a_running_task_of_another_process_is_alive(home: Path) -> None:
    """A second terminal sees the task live, and whether its process lives."""
    async with open_space(home, ScriptedEngine(["x", asyncio.Event()])) as worker:
        task_id = await ask(worker)
        await read_until(worker, task_id, "x")
        async with open_space(home) as terminal:
            (view,) = await terminal.tasks.list(terminal.actor)
            assert view.is_alive
            assert view.state == "STARTED"


async def test_nobody_can_tell_whether_a_process_elsewhere_lives(home: Path) -> None:
    """A task that another machine runs is not called alive for want of knowledge."""
    async with open_space(home, ScriptedEngine(["x", asyncio.Event()])) as worker:
        task_id = await ask(worker)
        await read_until(worker, task_id, "x")
        async with worker.database.write() as connection:
            await connection.execute(update(task_table).values(lease_owner="folder/process/host:1"))
        assert (await worker.tasks.get(worker.actor, task_id)).is_alive is None


async def test_only_a_failure_is_retried(home: Path) -> None:
    """What waits, runs or succeeded is not."""
    async with open_space(home) as space:
        waiting = await ask(space)
        with pytest.raises(Conflict):
            await space.tasks.retry(space.actor, waiting)
    async with open_space(home, ScriptedEngine()) as space:
        await read_all(space, waiting)
        with pytest.raises(Conflict):
            await space.tasks.retry(space.actor, waiting)


async def test_an_unsaved_chat_is_retried_as_it_was(home: Path) -> None:
    """Its prompt is in the task itself."""
    engine = ScriptedEngine(["again"])
    async with open_space(home) as space:
        task_id = await ask(space, "psst", save=False)
        await space.tasks.cancel(space.actor, task_id)
    async with open_space(home, engine) as space:
        again = await space.tasks.retry(space.actor, task_id)
        await read_all(space, again.id)
    assert [message.text for message in engine.requests[0].messages] == ["psst"]
