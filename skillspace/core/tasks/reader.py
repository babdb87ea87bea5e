"""Follows a task's log to its end: the only way anything watches a task.

Holds a cursor and never a queue, so a slow reader costs the writer nothing; what piled up
meanwhile reaches it merged. A reader never waits on a dead writer: when the log is silent it
asks whether the task ended or its process died, and mends either.
"""

from collections.abc import AsyncGenerator
from typing import Any, Final

from sqlalchemy import select

from skillspace.core.clock import Clock
from skillspace.core.db.engine import Database
from skillspace.core.db.tables import tasks
from skillspace.core.errors import NotFound
from skillspace.core.events import Event, coalesce
from skillspace.core.ports import EventLog
from skillspace.core.tasks.ending import close_from_row
from skillspace.core.tasks.recovery import Recovery
from skillspace.core.tasks.values import ENDED, RUNNING
from skillspace.core.text import t

SILENCE_S: Final = 0.2
"""How long a log may be silent before the reader looks at the task itself."""
PAGE: Final = 500


class Reader:
    """Follows logs.

    Args:
        database: Where tasks are.
        log: Where their events are.
        recovery: Mends what a dead process left.
        clock: Its monotonic side measures silence.
    """

    def __init__(self, database: Database, log: EventLog, recovery: Recovery, clock: Clock) -> None:
        self._clock = clock
        self._database = database
        self._log = log
        self._recovery = recovery

    async def follow(
        self, task_id: str, after: int = 0, *, is_new: bool = False
    ) -> AsyncGenerator[Event, None]:
        """Yield the events with seq > after, as they come, up to the terminal one.

        Args:
            task_id: An existing task.
            after: The last seq already seen; 0 for the whole log.
            is_new: The task was seen waiting a moment ago, so there is nothing to mend yet.

        Raises:
            NotReplayable: The log is past its time to live.
            NotFound: There is no such task.
        """
        async with self._log.watch(task_id) as ear:
            looked_s = self._clock.monotonic_s() - (0.0 if is_new else SILENCE_S)
            while True:
                page = await self._log.read(task_id, after, PAGE)
                for event in coalesce(page):
                    yield event
                    after = event.seq
                    if event.is_terminal:
                        return
                if page:
                    looked_s = self._clock.monotonic_s()
                    continue
                if self._clock.monotonic_s() - looked_s >= SILENCE_S:
                    if await self._look_after(task_id, after):
                        return
                    looked_s = self._clock.monotonic_s()
                    continue
                await ear.wait(SILENCE_S)

    async def _look_after(self, task_id: str, after: int) -> bool:
        """Mend what a crash left; True when the reader has already seen the last event."""
        row = await self._row(task_id)
        if row.state in RUNNING and self._recovery.is_dead(row):
            await self._recovery.recover(row)
        elif row.state in ENDED and await close_from_row(self._database, self._log, task_id):
            head, _ = await self._log.head(task_id)
            return after >= head
        return False

    async def _row(self, task_id: str) -> Any:
        async with self._database.read() as connection:
            query = select(tasks).where(tasks.c.id == task_id)
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound(t("There is no task {task}.", task=task_id))
        return row
