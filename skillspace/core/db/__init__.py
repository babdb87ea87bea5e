"""The database: engine, tables, migrations, backup."""
