"""Whether a database answers and is of this version, looked at without changing it.

Called by `skillspace doctor`, which must work when nothing else does. Never makes a file and
never upgrades.
"""

from skillspace.core.db.engine import create_database
from skillspace.core.db.migrate import refuse_unusable
from skillspace.core.db.schema import schema_status
from skillspace.core.values import Value


class Health(Value, frozen=True, kw_only=True):
    """What a look at a database found.

    Args:
        where: The file's path, or the URL without its password.
        is_new: There is nothing yet; the first start makes it.
        is_current: Its tables are those of this version.
        revision: Of its tables; empty when there are none.
        round_trip_ms: Milliseconds that an empty question took.
    """

    where: str
    is_new: bool = False
    is_current: bool = False
    revision: str = ""
    round_trip_ms: float = 0.0


async def check_health(url: str) -> Health:
    """Look at the database of a URL.

    Raises:
        SettingsError, MissingExtra: The URL cannot be used.
        DatabaseUnavailable, StorageUnavailable: It does not answer, or is not ours.
        SchemaTooNew: It was written by a newer version.
    """
    database = create_database(url)
    try:
        if database.path is not None and not database.path.exists():
            return Health(where=database.address, is_new=True)
        status = await schema_status(database)
        refuse_unusable(database, status)
        return Health(
            where=database.address,
            is_new=status.state == "empty",
            is_current=status.state == "current",
            revision=status.revision,
            round_trip_ms=await database.ping(),
        )
    finally:
        await database.close()
