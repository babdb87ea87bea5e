"""`--no-save`: however the answer ends, no table knows of prompt or answer afterwards."""

import asyncio
import contextlib
import io
import os
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from skillspace.cli.answer import show_exchange
from skillspace.cli.streams import Streams
from skillspace.core.app import SkillSpace
from skillspace.core.chat.values import Ask
from skillspace.core.errors import EngineUnavailable
from skillspace.core.events import Event
from tests.cli.chat_program import HeldEngine
from tests.cli.screens import ScreenProcess
from tests.cli.spaces import in_space
from tests.cli.test_chat import chat_once
from tests.spaces import JumpingClock, ScriptedEngine, open_space, wait_for_state

PROGRAM = (sys.executable, "-m", "tests.cli.chat_program")
PROMPT = "a secret prompt"


def remains(home: Path) -> list[str]:
    """Return each row, of any table, that holds the prompt or a piece of an answer."""
    with contextlib.closing(sqlite3.connect(home / "data" / "skillspace.db")) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = [
            f"{name}: {row}"
            for (name,) in names
            for row in connection.execute(f'SELECT * FROM "{name}"')
        ]
    assert rows, "this looked into no table"
    return [
        row
        for row in rows
        if any(said in row for said in (PROMPT, "world", "First part", "Paragraph"))
    ]


def test_what_is_saved_is_found(environment: dict[str, str], home: Path) -> None:
    """The search that the other tests rely on finds a prompt and an answer that are kept."""
    chat_once(environment, PROMPT)
    found = "\n".join(remains(home))
    assert "messages: " in found
    assert "task_events: " in found


@pytest.mark.parametrize("wishes", [{}, {"as_json": True}, {"tty": True}])
def test_an_answer_leaves_nothing(
    environment: dict[str, str], home: Path, wishes: dict[str, Any]
) -> None:
    """After an answer was shown, in whatever way, nothing of it is left."""
    assert "world" in chat_once(environment, PROMPT, save=False, **wishes).out
    assert remains(home) == []


def test_a_failure_leaves_nothing(environment: dict[str, str], home: Path) -> None:
    """An answer that failed half-way is told as the error it is, and nothing is left."""
    error = EngineUnavailable("The model fell over.")
    with pytest.raises(EngineUnavailable, match="fell over"):
        chat_once(environment, PROMPT, pieces=("Hello world",), error=error, save=False)
    assert remains(home) == []


def test_a_view_that_breaks_leaves_nothing(environment: dict[str, str], home: Path) -> None:
    """When the answer cannot be shown while it is still written, it is ended and forgotten."""

    class BrokenView:
        """Shows nothing."""

        is_immediate = True

        def add(self, event: Event) -> None:
            raise RuntimeError("no room on the screen")

        def draw(self, *, is_last: bool) -> str:
            return ""

    async def work(space: SkillSpace) -> None:
        streams = Streams(io.StringIO(), io.StringIO(), io.StringIO(), environment)
        exchange = await space.chat.ask(space.actor, Ask(prompt=PROMPT, save=False))
        await show_exchange(space, streams, exchange, BrokenView())

    with pytest.raises(RuntimeError, match="no room"):
        in_space(environment, work, engine=HeldEngine(("First part.",)))
    assert remains(home) == []


def test_ctrl_c_leaves_nothing(environment: dict[str, str], home: Path) -> None:
    """Ctrl-C says that nothing is kept, and that is true."""
    with ScreenProcess([*PROGRAM, "held", PROMPT, "save=no"], environment) as process:
        process.wait_for("Second part")
        process.type("\x03")
        process.wait_for("nothing is kept")
        assert process.wait() == 130
    assert remains(home) == []


def test_a_closed_pipe_leaves_nothing(environment: dict[str, str], home: Path) -> None:
    """When the reader goes away the generation is stopped and forgotten."""
    with subprocess.Popen(
        [*PROGRAM, "long", PROMPT, "save=no"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 1)
        process.stdout.close()
    assert remains(home) == []


def test_a_conversation_leaves_nothing(environment: dict[str, str], home: Path) -> None:
    """In a conversation each exchange is forgotten once it was shown, not at the end."""
    with ScreenProcess([*PROGRAM, "hello", "save=no"], environment, columns=100) as process:
        process.wait_for("Nothing is kept")
        process.wait_for_last("›")
        process.type(PROMPT + "\r")
        process.wait_for("• two")
        process.wait_for_last("›")
        assert remains(home) == []
        process.type("\x04")
        assert process.wait() == 0


async def test_housekeeping_removes_what_a_kill_left(
    environment: dict[str, str], home: Path
) -> None:
    """After kill -9 the next process ends the task; past its time to live nothing is left."""
    process = subprocess.Popen(
        [*PROGRAM, "held", PROMPT, "save=no"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment,
    )
    with process:
        assert process.stdout is not None
        await asyncio.to_thread(process.stdout.readline)
        process.kill()
    assert remains(home)
    async with open_space(home, ScriptedEngine()) as space:
        (task,) = await space.tasks.list(space.actor)
        await wait_for_state(space, task.id, "FAILURE")
    clock = JumpingClock()
    clock.jump = timedelta(days=8)
    async with open_space(home, ScriptedEngine(), clock=clock) as space, asyncio.timeout(20):
        while await space.tasks.list(space.actor):
            await asyncio.sleep(0.01)
    assert remains(home) == []
