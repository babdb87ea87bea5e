"""TaskQueue in this process. What makes it durable is the outbox and the row, not this."""

import asyncio
from collections.abc import AsyncIterator


class LocalQueue:
    """An asyncio queue of ids; each id is in it at most once.

    Why not bounded: it holds ids of rows that exist, 36 bytes each, and dropping one would only
    delay it until the next sweep.
    """

    def __init__(self) -> None:
        self._ids: asyncio.Queue[str | None] = asyncio.Queue()
        self._waiting: set[str] = set()
        self._is_closed = False

    async def publish(self, queue: str, task_id: str) -> None:
        """Offer a task id to the consumer in this process; the queue's name makes no difference."""
        if task_id not in self._waiting and not self._is_closed:
            self._waiting.add(task_id)
            self._ids.put_nowait(task_id)

    async def consume(self) -> AsyncIterator[str]:
        """Yield offered ids until the queue is closed."""
        while (task_id := await self._ids.get()) is not None:
            self._waiting.discard(task_id)
            yield task_id
        # The next consumer must see the end too.
        self._ids.put_nowait(None)

    async def close(self) -> None:
        """End every `consume`."""
        self._is_closed = True
        self._ids.put_nowait(None)
