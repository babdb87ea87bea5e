"""Migrations, oldest first in `versions`; run by `core.db.migrate`, written by hand or diff."""
