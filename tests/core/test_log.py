"""A log line is one line, in printable characters, without secrets."""

import io
from collections.abc import Iterator

import pytest

from skillspace.core.errors import StorageUnavailable
from skillspace.core.log import get_log, start_log, stop_log


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Yield the buffer that the log writes to, at level info."""
    buffer = io.StringIO()
    handler = start_log("info", buffer)
    yield buffer
    stop_log(handler)


def test_a_line_cannot_be_forged(lines: io.StringIO) -> None:
    """Newlines and escape codes in a value are shown, not obeyed."""
    get_log("tasks").info("title %s", "a\n2026 ERROR forged\x1b[2J\u202e 简历")
    assert lines.getvalue().count("\n") == 1
    assert r"a\n2026 ERROR forged\x1b[2J\u202e 简历" in lines.getvalue()
    assert " INFO skillspace.tasks: " in lines.getvalue()


def test_passwords_are_starred(lines: io.StringIO) -> None:
    """A URL's password is not kept, in the trace of an exception neither."""
    try:
        raise ValueError("postgresql://ann:canary@host/x")
    except ValueError:
        get_log("db").exception("cannot reach mysql://ann:canary@host/x")
    assert "canary" not in lines.getvalue()
    assert lines.getvalue().count("\n") == 1
    assert "Traceback" in lines.getvalue()


def test_an_error_for_people_is_told_without_its_stack(lines: io.StringIO) -> None:
    """An error that says what is wrong by itself needs no trace."""
    try:
        raise StorageUnavailable("The disk is full.")
    except StorageUnavailable:
        get_log("tasks").exception("a task could not be ended")
    assert "a task could not be ended" in lines.getvalue()
    assert "The disk is full." in lines.getvalue()
    assert "Traceback" not in lines.getvalue()


def test_the_level_chooses_what_is_kept(lines: io.StringIO) -> None:
    """Less severe lines are dropped."""
    get_log("x").debug("too much")
    assert lines.getvalue() == ""
