"""The command line: parse, show, map errors; no SQL, no rules."""
