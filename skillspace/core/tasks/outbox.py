"""The outbox: a hint for the queue, written in the transaction that accepts a task.

`add` runs in the caller's transaction; after the commit the relay gives the hint to the
queue. The row goes when the task is claimed, or when the relay of a later start has given it
again: a hint may be given twice, and is never lost.
"""

import asyncio
import logging
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select

from skillspace.core.db.engine import Connection, Database
from skillspace.core.db.tables import outbox
from skillspace.core.errors import Unavailable
from skillspace.core.ports import TaskQueue

BATCH: Final = 200
RETRY_S: Final = 1.0

_log = logging.getLogger(__name__)

_NEW_HINT: Final = insert(outbox)


async def add(connection: Connection, queue: str, task_id: str, now: datetime) -> None:
    """Leave a hint that this task waits in this queue."""
    hint = {"task_id": task_id, "queue": queue, "created_at": now}
    await connection.execute(_NEW_HINT, hint)


async def remove(connection: Connection, task_id: str) -> None:
    """Take the hint away: the task is claimed or has ended."""
    await connection.execute(delete(outbox).where(outbox.c.task_id == task_id))


class Relay:
    """Carries hints from the outbox to the queue, one batch at a time.

    Args:
        database: Where the outbox is.
        queue: Where the hints go.
    """

    def __init__(self, database: Database, queue: TaskQueue) -> None:
        self._database = database
        self._queue = queue
        self._kicked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with what an earlier process may have left."""
        self._kicked.set()
        self._task = asyncio.create_task(self._run(), name="outbox-relay")

    async def give(self, queue: str, task_id: str) -> None:
        """Give one hint whose transaction was committed; a queue that is away gets it later."""
        try:
            await self._queue.publish(queue, task_id)
        except Unavailable:
            self._kicked.set()

    async def stop(self) -> None:
        """Stop; hints not given yet stay in the outbox."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def _run(self) -> None:
        while True:
            await self._kicked.wait()
            self._kicked.clear()
            try:
                while await self.relay_batch() == BATCH:
                    pass
            except Exception as error:  # noqa: BLE001 - hints stay, and are given again
                _log.warning("hints could not be given: %s", error)
                await asyncio.sleep(RETRY_S)
                self._kicked.set()

    async def relay_batch(self) -> int:
        """Give up to one batch of hints to the queue and return how many there were."""
        query = select(outbox.c.id, outbox.c.task_id, outbox.c.queue).order_by(outbox.c.id)
        async with self._database.read() as connection:
            hints = (await connection.execute(query.limit(BATCH))).all()
        for hint in hints:
            await self._queue.publish(hint.queue, hint.task_id)
        if hints:
            async with self._database.write(durable=False) as connection:
                given = outbox.c.id.in_([hint.id for hint in hints])
                await connection.execute(delete(outbox).where(given))
        return len(hints)
