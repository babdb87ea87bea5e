"""Hands out the engine for a model, keeping one loaded. Used by the chat job.

Why one: a second model beside the first is what fills a laptop's memory. When another model
is asked for, the one that nobody uses any more is closed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from skillspace.core.ports import Engine


@dataclass
class _Place:
    engine: Engine
    users: int = 0


class Engines:
    """Engines by model name.

    Args:
        open_engine: Makes the engine for a model name; cheap, loading comes later.
    """

    def __init__(self, open_engine: Callable[[str], Awaitable[Engine]]) -> None:
        self._open = open_engine
        self._places: dict[str, _Place] = {}
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def use(self, model: str) -> AsyncIterator[Engine]:
        """Borrow the engine for a model; it is not closed while anybody has it.

        Args:
            model: A name, a path, or `auto`.

        Raises:
            NotFound, NotAModel, MissingExtra, EngineUnavailable: It cannot be had.
        """
        async with self._lock:
            place = self._places.get(model)
            if place is None:
                engine = await self._open(model)
                await self._close_idle()
                place = self._places[model] = _Place(engine)
            place.users += 1
        try:
            yield place.engine
        finally:
            place.users -= 1

    async def close(self) -> None:
        """Close every engine, in use or not."""
        places, self._places = self._places, {}
        for place in places.values():
            await place.engine.close()

    async def _close_idle(self) -> None:
        for model, place in list(self._places.items()):
            if place.users == 0:
                del self._places[model]
                await place.engine.close()
