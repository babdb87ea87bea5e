"""Exit codes follow the hierarchy of errors."""

import pytest

from skillspace.cli.exits import EXITS, MEANINGS, Exit, exit_code
from skillspace.core import errors
from skillspace.core.errors import SkillSpaceError, every_error


def test_every_error_has_a_code_and_it_is_documented() -> None:
    """Every class ends in a code other than 0 whose meaning is written down."""
    seen = list(every_error())
    assert len(seen) > 20
    for error in seen:
        assert exit_code(error) in MEANINGS
        assert exit_code(error) != Exit.OK


def test_a_class_without_a_row_has_its_parents_code() -> None:
    """A new subclass needs no row."""

    class NewlyInvented(errors.NotFound):
        code = "newly_invented"

    assert exit_code(NewlyInvented) == Exit.NOT_FOUND


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SkillSpaceError, 1),
        (errors.SettingsError, 2),
        (errors.StorageUnavailable, 3),
        (errors.Denied, 4),
        (errors.NotReplayable, 5),
        (errors.SchemaTooNew, 6),
        (errors.TimedOut, 124),
        (errors.Cancelled, 130),
    ],
)
def test_codes_that_scripts_rely_on(error: type[SkillSpaceError], code: int) -> None:
    """These numbers never change."""
    assert exit_code(error) == code


def test_every_row_is_of_use() -> None:
    """No row repeats what the parent's row already says."""
    for error in EXITS:
        if error is not SkillSpaceError:
            parent = next(p for p in error.__mro__[1:] if p in EXITS)
            assert EXITS[error] != EXITS[parent]
