"""The contract of the EventLog port: how logs go; rule 7, on every adapter."""

import pytest

from skillspace.core.errors import NotReplayable
from skillspace.core.events import join_text
from skillspace.core.ports import EventLog
from tests.contracts.event_logs import new_task, texts, write


async def test_an_expired_log_says_so(log: EventLog, elsewhere: EventLog) -> None:
    """Rule 7: after its time to live a log's events are gone, and reading them says so."""
    task = new_task()
    await write(log, task, [["a", "b"]])
    await log.expire(task)
    await log.expire(task)
    for where in (log, elsewhere):
        with pytest.raises(NotReplayable):
            await where.read(task)
        with pytest.raises(NotReplayable):
            await where.read(task, 2)
        assert await where.read(task, 3) == []
        assert await where.head(task) == (3, True)


async def test_an_open_log_does_not_expire(log: EventLog) -> None:
    """Rule 7: only a closed log may be let go or removed."""
    task = new_task()
    await log.begin(task, 1)
    await log.append(task, 1, texts("a"))
    await log.expire(task)
    await log.remove(task)
    assert join_text(await log.read(task)) == "a"


async def test_a_removed_log_has_never_been(log: EventLog) -> None:
    """A removed log reads as empty, and other logs are untouched."""
    task, other = new_task(), new_task()
    await write(log, task, [["a"]])
    await write(log, other, [["b"]])
    await log.remove(task)
    await log.remove(task)
    assert await log.read(task) == []
    assert await log.head(task) == (0, False)
    assert join_text(await log.read(other)) == "b"
