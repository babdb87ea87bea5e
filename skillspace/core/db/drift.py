"""Where a database's tables differ from `tables.py`. Used by `db check` and by tests.

Compares with Alembic, table by table; full-text indexes only by their presence.
"""

from typing import Any

import sqlalchemy as sa

from skillspace.core.db.search import INDEXES
from skillspace.core.db.tables import metadata
from skillspace.core.text import t

_SEARCH_TABLES = {index.name for index in INDEXES}


def schema_differences(connection: sa.Connection) -> list[str]:
    """Return each difference as one line; tables that are not ours are none of our business."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_object": _is_ours}
    )
    found = [_words(difference) for difference in compare_metadata(context, metadata)]
    present = set(sa.inspect(connection).get_table_names())
    for name in sorted(_SEARCH_TABLES - present):
        found.append(t("there is no {kind} {name}", kind="table", name=name))
    return found


def _is_ours(
    item: object, name: str | None, kind: str, is_reflected: bool, compared: object
) -> bool:
    """Whether a difference in this item counts: only those of tables that we declare."""
    return kind != "table" or name in metadata.tables


def _words(difference: Any) -> str:
    """Say one of Alembic's differences in a line."""
    if isinstance(difference, list):
        return "; ".join(_words(part) for part in difference)
    action, *parts = difference
    names = [str(getattr(part, "name", None) or part) for part in parts if part is not None]
    return f"{action.replace('_', ' ')}: {' '.join(names)}"
