"""The owner: whoever can read the database file already holds everything in it.

On that machine the CLI therefore acts as a superuser named after the operating-system user.
Called once per opened app; makes the row at the first start.
"""

import getpass
import logging

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from skillspace.core.clock import Clock
from skillspace.core.db.engine import Database
from skillspace.core.db.tables import users
from skillspace.core.values import Actor

_log = logging.getLogger(__name__)


async def local_owner(database: Database, clock: Clock, via: str) -> Actor:
    """Return the actor for the operating-system user, creating the user at first use.

    Args:
        database: An open database with a current schema.
        clock: For the time of creation.
        via: The face that asks: cli, tui, worker.
    """
    name = getpass.getuser()[:150]
    user_id = await _find(database, name)
    if user_id is None:
        try:
            async with database.write() as connection:
                await connection.execute(
                    insert(users).values(
                        username=name, display_name=name, is_superuser=True, created_at=clock.now()
                    )
                )
        except IntegrityError:
            # Another process made the row a moment ago, or somebody has this name already.
            _log.debug("the owner's row was there")
        user_id = await _find(database, name)
    assert user_id is not None
    return Actor(user_id=user_id, name=name, via=via, is_superuser=True)


async def _find(database: Database, name: str) -> int | None:
    async with database.read() as connection:
        query = select(users.c.id).where(users.c.username == name)
        return (await connection.execute(query)).scalar_one_or_none()
