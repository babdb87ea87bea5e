"""The event logs that the port's suites run on: each adapter, on each kind of database.

`log` is the adapter in the writer's process, `elsewhere` the same log seen from another one.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from skillspace.core.adapters.eventlog_memory import MemoryEventLog
from skillspace.core.adapters.eventlog_sql import SqlEventLog
from skillspace.core.db.engine import create_database
from skillspace.core.ports import EventLog
from tests.databases import KINDS, template_copy

MEMORY = "memory"


@pytest.fixture(scope="module", params=[MEMORY, *KINDS])
def log_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Yield `memory`, or the URL of a database that a module's tests share."""
    if request.param == MEMORY:
        yield MEMORY
        return
    with template_copy(request, tmp_path_factory.mktemp("log")) as url:
        yield url


@pytest.fixture
async def log(log_place: str) -> AsyncIterator[EventLog]:
    """Yield the log as its writer's process sees it."""
    if log_place == MEMORY:
        yield MemoryEventLog()
        return
    database = create_database(log_place)
    yield SqlEventLog(database)
    await database.close()


@pytest.fixture
async def elsewhere(log_place: str, log: EventLog) -> AsyncIterator[EventLog]:
    """Yield the same log as another process sees it; memory has no elsewhere."""
    if log_place == MEMORY:
        yield log
        return
    database = create_database(log_place)
    yield SqlEventLog(database)
    await database.close()
