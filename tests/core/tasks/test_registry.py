"""The registry of task types."""

from typing import Any, cast

import pytest

from skillspace.core.errors import InvalidInput
from skillspace.core.tasks.registry import Registry, TaskType


class Work:
    kind = "work"


def registry(*types: type) -> Registry:
    """Return a registry of these types."""
    return Registry([cast(TaskType, cast(Any, one)()) for one in types])


def test_a_type_is_found_by_its_kind() -> None:
    """Kinds are listed in order; an unknown one is told with the known ones."""
    known = registry(Work)
    assert known.kinds == ("work",)
    assert "work" in known
    assert known.get("work").kind == "work"
    with pytest.raises(InvalidInput) as caught:
        known.get("wrok")
    assert "work" in caught.value.hint


def test_two_types_of_one_kind_show_at_start() -> None:
    """A mistake of ours does not wait for its first task."""
    with pytest.raises(ValueError, match="work"):
        registry(Work, Work)
