"""Lending engines: one loaded, none closed in use."""

import pytest

from skillspace.core.chat.engines import Engines
from skillspace.core.errors import NotFound
from skillspace.core.ports import Engine
from tests.spaces import ScriptedEngine


class Shelf:
    """Makes engines and remembers them."""

    def __init__(self) -> None:
        self.made: dict[str, ScriptedEngine] = {}

    async def open(self, name: str) -> Engine:
        if name == "none":
            raise NotFound("there is no such model")
        self.made[name] = ScriptedEngine()
        return self.made[name]


async def test_one_engine_serves_all_requests_for_its_model() -> None:
    """It is opened once and stays open between requests."""
    shelf = Shelf()
    engines = Engines(shelf.open)
    async with engines.use("a") as first, engines.use("a") as second:
        assert first is second
    async with engines.use("a") as third:
        assert third is first
    await engines.close()
    assert shelf.made["a"].is_closed


async def test_another_model_closes_the_idle_one_only() -> None:
    """What somebody still uses stays; it goes when the next model is asked for."""
    shelf = Shelf()
    engines = Engines(shelf.open)
    async with engines.use("a"), engines.use("b"):
        states = [shelf.made[name].is_closed for name in "ab"]
    assert states == [False, False]
    async with engines.use("c"):
        states = [shelf.made[name].is_closed for name in "ab"]
    assert states == [True, True]
    await engines.close()


async def test_a_model_that_cannot_be_had_leaves_the_others() -> None:
    """A wrong name costs nobody their loaded model."""
    shelf = Shelf()
    engines = Engines(shelf.open)
    async with engines.use("a"):
        pass
    with pytest.raises(NotFound):
        async with engines.use("none"):
            pass
    assert not shelf.made["a"].is_closed
    await engines.close()
