"""Opened spaces for tests: a folder of their own, and an engine that says what it is told to.

`home` is a folder with a fresh database; `open_space` opens the whole application on it, as
often as a test likes, each time as another process would.
"""

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from skillspace.core.app import Replacements, SkillSpace, open_app
from skillspace.core.chat.values import Ask
from skillspace.core.clock import Clock, SystemClock
from skillspace.core.db.engine import Database
from skillspace.core.db.tables import users
from skillspace.core.events import Event
from skillspace.core.ports import EventLog, TaskQueue
from skillspace.core.settings import Settings
from skillspace.core.settings_sources import load_settings
from skillspace.core.values import Actor, EngineInfo, GenerateRequest, Piece, PromptMessage, Usage

Step = str | asyncio.Event | float | BaseException
"""Say this, wait for this, sleep this many seconds, raise this."""


class ScriptedEngine:
    """An engine that follows a script.

    Args:
        scripts: One for each request in turn; the last one serves all further ones.
        context_tokens: One token is one character here.
    """

    def __init__(self, *scripts: Sequence[Step], context_tokens: int = 100_000) -> None:
        self._scripts = list(scripts) or [["Hello ", "world."]]
        self._context_tokens = context_tokens
        self.requests: list[GenerateRequest] = []
        self.running = 0
        self.is_closed = False

    async def describe(self) -> EngineInfo:
        return EngineInfo(model="scripted", context_tokens=self._context_tokens)

    async def count_tokens(self, messages: Sequence[PromptMessage]) -> int:
        return sum(len(message.text) for message in messages)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
        self.requests.append(request)
        self.running += 1
        count = 0
        try:
            for step in script:
                if isinstance(step, str):
                    count += 1
                    yield Piece(text=step)
                elif isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    raise step
            yield Piece(text="", finish_reason="stop", usage=Usage(completion_tokens=count))
        finally:
            self.running -= 1

    async def close(self) -> None:
        self.is_closed = True


class JumpingClock:
    """The system's clocks, whose time of day can be set and whose seconds can be advanced."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.jump = timedelta()
        self.slept_s = 0.0

    def now(self) -> datetime:
        return self._clock.now() + self.jump

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s() + self.slept_s


@pytest.fixture
def home(tmp_path: Path, sqlite_template: Path) -> Path:
    """Return a folder whose database has the schema and no rows."""
    folder = tmp_path / "home"
    (folder / "data").mkdir(parents=True)
    shutil.copy(sqlite_template, folder / "data" / "skillspace.db")
    return folder


def space_settings(home: Path, **tasks: float) -> Settings:
    """Return settings with everything beneath one folder.

    Args:
        home: The folder.
        tasks: Settings of tasks, such as `lease_s=1.0`.
    """
    settings = load_settings({"SKILLSPACE_HOME": str(home)}, {}).settings
    return msgspec.structs.replace(settings, tasks=msgspec.structs.replace(settings.tasks, **tasks))


@asynccontextmanager
async def open_space(
    settings: Settings | Path,
    engine: ScriptedEngine | None = None,
    *,
    clock: Clock | None = None,
    event_log: EventLog | None = None,
    queue: TaskQueue | None = None,
) -> AsyncIterator[SkillSpace]:
    """Open the application.

    Args:
        settings: Or just the home folder.
        engine: Answers; None opens a space that runs no tasks.
    """
    if isinstance(settings, Path):
        settings = space_settings(settings)
    parts = Replacements(engine=engine, clock=clock, event_log=event_log, queue=queue)
    async with open_app(settings, run_tasks=engine is not None, replacements=parts) as space:
        yield space


async def ask(space: SkillSpace, prompt: str = "hi", **options: object) -> str:
    """Ask and return the task's id."""
    exchange = await space.chat.ask(space.actor, Ask(prompt=prompt, **options))  # type: ignore[arg-type]  # as Ask says
    return exchange.task_id


async def read_all(space: SkillSpace, task_id: str, after: int = 0) -> list[Event]:
    """Follow a task to its end and return its events."""
    async with (
        asyncio.timeout(20),
        aclosing(space.tasks.follow(space.actor, task_id, after)) as log,
    ):
        return [event async for event in log]


async def read_until(space: SkillSpace, task_id: str, text: str) -> list[Event]:
    """Follow a task until its answer has said this, and return the events so far."""
    events: list[Event] = []
    async with asyncio.timeout(20), aclosing(space.tasks.follow(space.actor, task_id)) as log:
        async for event in log:
            events.append(event)
            if text in "".join(event.text for event in events):
                return events
    raise AssertionError(f"the answer ended without {text!r}: {events}")


async def wait_for_state(space: SkillSpace, task_id: str, *states: str) -> None:
    """Return when a task is in one of these states."""
    async with asyncio.timeout(20):
        while True:
            if (await space.tasks.get(space.actor, task_id)).state in states:
                return
            await asyncio.sleep(0.01)


async def add_user(database: Database, name: str, *permissions: str) -> Actor:
    """Make a user and return them as an actor with these permissions."""
    async with database.write() as connection:
        inserted = await connection.execute(
            users.insert().values(username=name, display_name=name, created_at=SystemClock().now())
        )
        key = inserted.inserted_primary_key
    assert key is not None
    return Actor(user_id=int(key[0]), name=name, permissions=frozenset(permissions))
