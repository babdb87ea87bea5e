"""The front door answers at once, and loads nothing that an answer does not need."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable

import pytest

from skillspace.cli.generated import HELP
from tests.cli.conftest import ROOT, Done

Ask = Callable[..., Done]
HEAVY = {"rich", "sqlalchemy", "textual", "torch", "transformers", "prompt_toolkit", "asyncio"}


def version() -> str:
    """Return the version in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(call: Ask, flag: str) -> None:
    """The version is the package's."""
    assert call(flag) == Done(0, f"skillspace {version()}\n", "")


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]])
def test_help(call: Ask, args: list[str]) -> None:
    """Without a command, and when asked, the help is printed to stdout."""
    assert call(*args) == Done(0, HELP["en"], "")


@pytest.mark.parametrize(
    "variables",
    [{"LANG": "zh_CN.UTF-8"}, {"SKILLSPACE_LANGUAGE": "zh"}, {"LC_ALL": "zh_TW", "LANG": "en"}],
)
def test_help_in_chinese(call: Ask, variables: dict[str, str]) -> None:
    """The locale and the setting choose the language."""
    assert call("--help", **variables).out == HELP["zh"]


def test_the_language_of_config_toml_counts(call: Ask, home: "object") -> None:
    """A language in the file is obeyed by the static help and by built help alike."""
    assert call("config", "set", "language", "zh").code == 0
    assert call("--help").out == HELP["zh"]
    assert "用法" in call("config", "--help").out
    assert "Usage" in call("--lang", "en", "config", "--help").out


@pytest.mark.parametrize("args", [["--help"], ["config", "--help"], ["config", "shwo"]])
def test_an_old_encoding_is_no_error(call: Ask, args: list[str]) -> None:
    """Where Chinese cannot be shown there are question marks, not a stack trace."""
    done = call("--lang", "zh", *args, PYTHONIOENCODING="ascii")
    assert "Traceback" not in done.err
    assert "?" in done.out + done.err
    assert call("--help", PYTHONIOENCODING="ascii", LANG="zh_CN.UTF-8").code == 0


def test_static_and_built_help_are_one(ask: Ask) -> None:
    """What the front door prints is what the built command would print."""
    assert ask("-q", "--help").out == HELP["en"]
    assert ask("-q").out == HELP["en"]


@pytest.mark.parametrize("args", [["--version"], ["--help"], []])
def test_constants_load_next_to_nothing(
    loaded_modules: Callable[..., set[str]], args: list[str]
) -> None:
    """Version and help load no parser, no type and no path library."""
    modules = loaded_modules(*args)
    assert "skillspace.cli.generated" in modules
    ours = {name for name in modules if name.startswith("skillspace")}
    assert ours <= {
        "skillspace", "skillspace.__main__", "skillspace.cli", "skillspace.cli.generated",
        "skillspace.cli.language", "skillspace.core", "skillspace.core.home",
    }  # fmt: skip
    assert not modules & {*HEAVY, "typer", "msgspec", "re", "json", "pathlib", "gettext"}


def test_a_completion_loads_no_parser(loaded_modules: Callable[..., set[str]]) -> None:
    """A completion with values from the database needs sqlite3 and nothing big."""
    variables = {
        "_SKILLSPACE_COMPLETE": "bash", "COMP_WORDS": "skillspace\nsession\nshow\n",
        "COMP_CWORD": "3",
    }  # fmt: skip
    modules = loaded_modules(**variables)
    assert "skillspace.core.db.glance" in modules
    assert not modules & {*HEAVY, "typer", "msgspec", "re", "json", "pathlib", "gettext"}


@pytest.mark.parametrize("args", [["config", "get", "chat.top_p"], ["config", "path"]])
def test_settings_commands_load_no_database(
    loaded_modules: Callable[..., set[str]], args: list[str]
) -> None:
    """Commands about settings load neither SQLAlchemy, Rich, asyncio nor a model library."""
    modules = loaded_modules(*args)
    assert "skillspace.cli.config" in modules
    assert not modules & HEAVY
    commands = {"skillspace.cli.chat", "skillspace.cli.session", "skillspace.cli.task"}
    assert not modules & commands


def test_the_front_door_imports_three_modules() -> None:
    """At its top it names gc, os and sys, and nothing else."""
    source = (ROOT / "skillspace/__main__.py").read_text()
    assert re.findall(r"^(?:import|from) (.+)$", source, re.MULTILINE) == ["gc", "os", "sys"]


@pytest.mark.parametrize("args", [["--help"], ["config", "show"]])
def test_a_closed_pipe_is_no_error(environment: dict[str, str], args: list[str]) -> None:
    """When the reader has gone the command ends quietly."""
    with subprocess.Popen(
        [sys.executable, "-m", "skillspace", *args],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
