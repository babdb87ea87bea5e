"""What Alembic runs for every command: a connection that is given, one transaction.

Called by Alembic, through `core.db.migrate` or `scripts/new_migration`; it opens nothing
by itself. The transaction is the caller's, so that a migration is whole or was not.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.operations.ops import (
    CreateIndexOp,
    CreateTableOp,
    MigrateOperation,
    MigrationScript,
    ModifyTableOps,
)

from skillspace.core.db.search import INDEXES
from skillspace.core.db.tables import metadata

_SEARCH_TABLES = tuple(index.name for index in INDEXES)


def is_ours(item: object, name: str | None, kind: str, *_: Any) -> bool:
    """Whether a difference in this item counts: full-text tables have no model to differ from."""
    return (
        kind != "table"
        or name is None
        or name.partition("_search")[0] + "_search" not in (_SEARCH_TABLES)
    )


def spell_out(_context: Any, _revision: Any, directives: list[MigrationScript]) -> None:
    """Add to a new migration what MariaDB needs: its text, and to be run again after a kill."""
    for script in directives:
        assert script.upgrade_ops is not None
        for operation in _every(script.upgrade_ops.ops):
            if isinstance(operation, CreateTableOp):
                operation.kw.update(mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin")
                operation.kw.update(mysql_engine="InnoDB")
            if isinstance(operation, CreateTableOp | CreateIndexOp):
                operation.if_not_exists = True


def _every(operations: Iterable[MigrateOperation]) -> Iterator[MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ModifyTableOps):
            yield from operation.ops
        else:
            yield operation


def render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write a truth value so that PostgreSQL takes it too."""
    value = getattr(item, "arg", None)
    if kind == "server_default" and isinstance(value, sa.True_ | sa.False_):
        return "sa.true()" if isinstance(value, sa.True_) else "sa.false()"
    return False


def _migrate(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=is_ours,
        user_module_prefix="columns.",
        process_revision_directives=spell_out,
        render_item=render,
    )
    with context.begin_transaction():
        context.run_migrations()


_migrate(context.config.attributes["connection"])
