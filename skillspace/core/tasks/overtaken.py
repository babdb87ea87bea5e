"""Tries a write again that another transaction got in the way of.

Two transactions that change the same rows may stop each other on PostgreSQL and MariaDB; the
database then ends one of them and asks for it again. Used where a task's own state is written,
by work that may safely be done twice; never around a handler, whose errors mean something else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from skillspace.core.errors import Temporary

T = TypeVar("T")

TRIES: Final = 5


async def persist(work: Callable[[], Awaitable[T]]) -> T:
    """Do the work; when it was overtaken, do it again, at most four times.

    Args:
        work: One transaction, whole or not at all.

    Raises:
        Temporary: It was overtaken every time.
    """
    for attempt in range(1, TRIES):
        try:
            return await work()
        except Temporary as error:
            await asyncio.sleep(error.delay_s * attempt)
    return await work()
