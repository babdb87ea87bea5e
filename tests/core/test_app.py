"""The composition root: what a whole space does, opened once, twice, and closed in the middle."""

import asyncio
from pathlib import Path

from skillspace.core.events import join_text
from tests.spaces import ScriptedEngine, ask, open_space, read_all


async def test_an_answer_comes_through_the_whole_house(home: Path) -> None:
    """What a reader joins is what is stored, and the log ends with one `finish`."""
    async with open_space(home, ScriptedEngine(["Hel", "lo ", "世界 🙂"])) as space:
        task_id = await ask(space)
        events = await read_all(space, task_id)
        view = await space.tasks.get(space.actor, task_id)
        session = (await space.sessions.list(space.actor))[0]
        messages = await space.sessions.messages(space.actor, session.id)
    assert join_text(events) == "Hello 世界 🙂" == messages[-1].text
    assert [event.type for event in events if event.is_terminal] == ["finish"]
    assert view.state == "SUCCESS"
    assert messages[-1].status == "complete"


async def test_a_closed_space_leaves_nothing_behind(home: Path) -> None:
    """Closing ends every background task, closes the engine and lets go of the lock's file."""
    engine = ScriptedEngine()
    before = asyncio.all_tasks()
    async with open_space(home, engine) as space:
        await read_all(space, await ask(space))
    assert asyncio.all_tasks() == before
    assert engine.is_closed
    assert list((home / "data" / "skillspace.db.run").glob("*.lock")) == []
