"""Durable work: a task is a row, its story is a numbered event log."""
