"""The outbox: a hint is given at least once, after the commit, whatever the queue does."""

import asyncio
from datetime import UTC, datetime

from sqlalchemy import select

from skillspace.core.adapters.queue_local import LocalQueue
from skillspace.core.db.engine import Database
from skillspace.core.db.tables import outbox as table
from skillspace.core.errors import Unavailable
from skillspace.core.tasks import outbox
from skillspace.core.tasks.outbox import BATCH, Relay

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class AwayQueue(LocalQueue):
    """A queue that is away for its first few offers."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.given: list[str] = []

    async def publish(self, queue: str, task_id: str) -> None:
        if self.times:
            self.times -= 1
            raise Unavailable("the queue is away")
        self.given.append(task_id)


async def leave(database: Database, *task_ids: str) -> None:
    """Leave hints."""
    async with database.write() as connection:
        for task_id in task_ids:
            await outbox.add(connection, "default", task_id, NOW)


async def left(database: Database) -> list[str]:
    """Return the hints still to be given."""
    async with database.read() as connection:
        rows = await connection.execute(select(table.c.task_id).order_by(table.c.id))
        return [row.task_id for row in rows]


async def test_what_an_earlier_process_left_is_given(database: Database) -> None:
    """In order and in batches; then the outbox is empty."""
    names = [f"task-{number:04}" for number in range(BATCH + 5)]
    await leave(database, *names)
    queue = AwayQueue(0)
    relay = Relay(database, queue)
    assert await relay.relay_batch() == BATCH
    assert await relay.relay_batch() == 5
    assert queue.given == names
    assert await left(database) == []


async def test_a_queue_that_is_away_gets_its_hints_later(database: Database) -> None:
    """Nothing leaves the outbox before the queue has it."""
    await leave(database, "a", "b")
    queue = AwayQueue(1)
    relay = Relay(database, queue)
    relay.start()
    await relay.give("default", "a")
    async with asyncio.timeout(20):
        while True:
            if not await left(database):
                break
            await asyncio.sleep(0.02)
    await relay.stop()
    assert queue.given[-2:] == ["a", "b"]


async def test_a_claimed_task_needs_no_hint(database: Database) -> None:
    """Its hints are taken away, others stay."""
    await leave(database, "a", "b", "a")
    async with database.write() as connection:
        await outbox.remove(connection, "a")
    assert await left(database) == ["b"]
