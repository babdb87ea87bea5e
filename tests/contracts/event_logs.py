"""Tasks, events and readers for the suites of the EventLog port."""

import asyncio
import itertools
import uuid
from collections.abc import Sequence
from typing import Final

from skillspace.core.events import ANSWER, FINISH, Event
from skillspace.core.ports import EventLog

LONG_S: Final = 20.0
"""Longer than anything here takes: a test that waits this long has lost a wake-up."""


def new_task() -> str:
    """Return an id that no log has yet."""
    return str(uuid.uuid4())


def texts(*parts: str, after: int = 0) -> list[Event]:
    """Return answer events that follow a seq."""
    return [
        Event(seq=seq, type=ANSWER, payload={"text": part})
        for seq, part in enumerate(parts, after + 1)
    ]


async def write(log: EventLog, task: str, batches: Sequence[Sequence[str]]) -> str:
    """Write batches of texts and a last event; return the joined text."""
    head = await log.begin(task, 1)
    for batch in batches:
        events = texts(*batch, after=head)
        await log.append(task, 1, events)
        head += len(events)
    await log.append(task, 1, [Event(seq=head + 1, type=FINISH)])
    return "".join(itertools.chain.from_iterable(batches))


async def read_from(log: EventLog, task: str, after: int, page: int) -> list[Event]:
    """Read in pages, waiting for more, up to the last event."""
    events: list[Event] = []
    async with asyncio.timeout(LONG_S), log.watch(task) as ear:
        while not (events and events[-1].is_terminal):
            found = await log.read(task, events[-1].seq if events else after, page)
            events += found
            if not found:
                await ear.wait(LONG_S)
    return events
