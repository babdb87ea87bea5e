"""A space with a scripted model, prepared before a command line is tested on it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from skillspace.core.app import Replacements, SkillSpace, open_app
from skillspace.core.errors import SkillSpaceError
from skillspace.core.settings_sources import load_settings
from skillspace.core.values import EngineInfo, GenerateRequest, Piece, PromptMessage, Usage

T = TypeVar("T")


class ScriptedEngine:
    """An engine that says what it is told to.

    Args:
        pieces: The answer, in the pieces in which it comes.
        error: Raised after the pieces; None ends well.
    """

    def __init__(
        self, pieces: Sequence[str] = ("Hello ", "world."), error: SkillSpaceError | None = None
    ) -> None:
        self._pieces = pieces
        self._error = error

    async def describe(self) -> EngineInfo:
        return EngineInfo(model="scripted", context_tokens=4096)

    async def count_tokens(self, messages: Sequence[PromptMessage]) -> int:
        return sum(len(message.text) for message in messages)

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        for piece in self._pieces:
            yield Piece(text=piece)
        if self._error is not None:
            raise self._error
        yield Piece(text="", finish_reason="stop", usage=Usage(completion_tokens=len(self._pieces)))

    async def close(self) -> None:
        pass


def in_space(
    environment: Mapping[str, str],
    work: Callable[[SkillSpace], Awaitable[T]],
    *,
    engine: ScriptedEngine | None = None,
) -> T:
    """Open the space of an environment, await `work` with it, close it.

    Args:
        environment: Names the home.
        work: What to prepare.
        engine: Answers tasks; None runs none, so that they stay PENDING.
    """
    settings = load_settings(environment, {}).settings.with_secrets()

    async def session() -> T:
        parts = Replacements(engine=engine)
        async with open_app(settings, run_tasks=engine is not None, replacements=parts) as space:
            return await work(space)

    return asyncio.run(session())
