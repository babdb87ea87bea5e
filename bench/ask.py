"""What SkillSpace itself costs between a prompt and the first event at its reader.

    python -m bench.ask [--count 200]

The engine answers at once, so what is measured is the house: accepting the prompt, the queue,
the claim, the log, the reader. The database's part is the time spent in its transactions.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from skillspace.core.app import Replacements, SkillSpace, open_app
from skillspace.core.chat.values import Ask
from skillspace.core.db.connection import Connection
from skillspace.core.db.engine import Database
from skillspace.core.settings_sources import load_settings
from skillspace.core.values import EngineInfo, GenerateRequest, Piece, PromptMessage, Usage


class InstantEngine:
    """Says one word at once."""

    async def describe(self) -> EngineInfo:
        """Say what it is."""
        return EngineInfo(model="instant", context_tokens=100_000)

    async def count_tokens(self, messages: Sequence[PromptMessage]) -> int:
        """Count nothing."""
        return 1

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """Say the word."""
        yield Piece(text="word", finish_reason="stop", usage=Usage(completion_tokens=1))

    async def close(self) -> None:
        """Hold nothing."""


class Meter:
    """Adds up the time between the beginning and the end of transactions."""

    def __init__(self, database: Database) -> None:
        self.spent_s = 0.0
        self.count = 0
        self._write, self._read = database.write, database.read
        # The only place to stand between the house and its database without changing either.
        database.write = self.write  # type: ignore[method-assign]  # see above
        database.read = self.read  # type: ignore[method-assign]  # see above

    @asynccontextmanager
    async def write(self, durable: bool = True) -> AsyncIterator[Connection]:
        """Measure a write."""
        start_s = time.perf_counter()
        async with self._write(durable) as connection:
            yield connection
        self.spent_s += time.perf_counter() - start_s
        self.count += 1

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """Measure a read."""
        start_s = time.perf_counter()
        async with self._read() as connection:
            yield connection
        self.spent_s += time.perf_counter() - start_s
        self.count += 1


async def ask_once(space: SkillSpace, meter: Meter) -> tuple[float, float, int]:
    """Ask and return seconds to the first event, of those in the database, and transactions."""
    spent_s, count = meter.spent_s, meter.count
    start_s = time.perf_counter()
    exchange = await space.chat.ask(space.actor, Ask(prompt="hi"))
    async with aclosing(space.tasks.follow(space.actor, exchange.task_id)) as events:
        await anext(events)
        took = (time.perf_counter() - start_s, meter.spent_s - spent_s, meter.count - count)
        async for _ in events:
            pass
    return took


async def main(count: int, home: str) -> None:
    """Measure and print."""
    settings = load_settings({"SKILLSPACE_HOME": home}, {}).settings
    parts = Replacements(engine=InstantEngine())
    async with open_app(settings, run_tasks=True, replacements=parts) as space:
        meter = Meter(space.database)
        for _ in range(10):
            await ask_once(space, meter)
        taken = [await ask_once(space, meter) for _ in range(count)]
    totals, databases, transactions = zip(*taken, strict=True)
    for name, values in (("ask to first event", totals), ("of which database", databases)):
        ordered = sorted(values)
        print(
            f"{name}: median {statistics.median(ordered) * 1000:.2f} ms, "
            f"p99 {ordered[int(len(ordered) * 0.99)] * 1000:.1f} ms"
        )
    print(f"transactions: median {statistics.median(transactions):.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(given.count, folder))
