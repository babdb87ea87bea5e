"""Tests, laid out like the package; the databases they run on are in `databases`."""
