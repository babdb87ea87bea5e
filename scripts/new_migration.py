"""Write the next migration from the difference between `tables.py` and the migrations so far.

    python scripts/new_migration.py "add resume themes"

Then read what was written, add its number to `REVISIONS` in `core/db/schema.py`, and run
`pytest tests/core/db`.
"""

import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from alembic import command

from skillspace.core.db.migrate import alembic_config

ROOT = Path(__file__).parents[1]
VERSIONS = ROOT / "skillspace/core/db/migrations/versions"


def main() -> int:
    """Migrate a fresh SQLite file, compare it, write the difference."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    number = f"{len(list(VERSIONS.glob('[0-9]*.py'))) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        engine = sa.create_engine(f"sqlite:///{folder}/fresh.db")
        with engine.connect() as connection:
            config = alembic_config(connection)
            config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
            command.upgrade(config, "head")
            command.revision(config, message=sys.argv[1], autogenerate=True, rev_id=number)
    return 0


if __name__ == "__main__":
    sys.exit(main())
