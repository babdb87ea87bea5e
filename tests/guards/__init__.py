"""The house rules, each shown to see its own breach."""
