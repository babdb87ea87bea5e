"""The command line as a person has it: real processes on a home of their own, a real model."""

from pathlib import Path

import pytest

from tests.acceptance.command_line import CommandLine
from tests.acceptance.endless import make_endless


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """Return a command line whose home is not made yet."""
    return CommandLine(tmp_path / "space")


@pytest.fixture(scope="session")
def endless_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model that says plain text for ever; not to be changed."""
    return make_endless(tiny_model, tmp_path_factory.mktemp("models") / "endless")
