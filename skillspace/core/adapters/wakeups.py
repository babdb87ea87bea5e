"""Wake-ups between the writer and the readers of one log in one process; they carry nothing."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Ear:
    """One reader's ear: remembers that something happened until it is asked."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Say that something may have been appended."""
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next ring, at once when one is remembered, or after the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()


class Wakeups:
    """The ears at each log. Single-threaded: used from one event loop."""

    def __init__(self) -> None:
        self._ears: dict[str, set[Ear]] = {}

    @contextmanager
    def listen(self, task_id: str) -> Iterator[Ear]:
        """Add an ear for as long as the block runs."""
        ear = Ear()
        ears = self._ears.setdefault(task_id, set())
        ears.add(ear)
        try:
            yield ear
        finally:
            ears.discard(ear)
            if not ears:
                self._ears.pop(task_id, None)

    def wake(self, task_id: str) -> None:
        """Ring at every ear of this log."""
        for ear in self._ears.get(task_id, ()):
            ear.ring()
