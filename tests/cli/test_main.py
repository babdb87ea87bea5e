"""Command lines that are wrong say so in one line, with the nearest name and a code."""

import json
from collections.abc import Callable

import pytest
from typer.main import get_command_from_info

from skillspace.cli.commands import Group
from skillspace.cli.main import TABLE, walk
from tests.cli.conftest import Done

Ask = Callable[..., Done]


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["confg"], "There is no command confg.", "Did you mean config?"),
        (["config", "shwo"], "There is no command shwo.", "Did you mean show?"),
        (["config", "qqq"], "There is no command qqq.", "See: skillspace config --help"),
        (["config", "show", "--jso"], "There is no option --jso.", "Did you mean --json?"),
        (["--colour"], "There is no option --colour.", "Did you mean --no-color?"),
        (["config", "get"], "KEY is missing.", "See: skillspace config get --help"),
        (["config", "get", "a", "b"], "", "See: skillspace config get --help"),
        (["--lang", "fr", "config"], "--lang: choose en or zh.", "See: skillspace --help"),
        (["completion", "tcsh"], "", "See: skillspace completion --help"),
    ],
)
def test_wrong_usage(ask: Ask, args: list[str], message: str, hint: str) -> None:
    """Exit code 2, one line of error, one of remedy, nothing on stdout."""
    done = ask(*args)
    assert (done.code, done.out) == (2, "")
    error, remedy = done.err.splitlines()
    assert error.startswith(f"error: {message}")
    assert remedy == f"hint: {hint}"


def test_errors_are_objects_for_programs(ask: Ask) -> None:
    """With --json an error is one JSON object on stderr."""
    done = ask("config", "get", "chat.temprature", "--json")
    body = json.loads(done.err)
    assert body["exit_code"] == done.code == 2
    assert body["error"]["code"] == "settings"
    assert body["error"]["hint"] == "Did you mean chat.temperature?"
    assert done.out == ""


def test_errors_are_coloured_on_terminals_only(ask: Ask) -> None:
    """Colour is for terminals, and --no-color turns it off."""
    assert "\x1b[31m" in ask("config", "get", "x", tty=True).err
    assert "\x1b" not in ask("--no-color", "config", "get", "x", tty=True).err
    assert "\x1b" not in ask("config", "get", "x").err


def test_errors_are_cleaned(ask: Ask) -> None:
    """A name with escape codes is not obeyed by the terminal that reads the error."""
    assert "\x1b" not in ask("config", "get", "\x1b[2J\x1b]0;x\x07").err


def test_verbose_shows_the_stack(ask: Ask) -> None:
    """A stack trace is shown when it is asked for, and only then."""
    assert "Traceback" not in ask("config", "get", "x").err
    assert "Traceback" in ask("--verbose", "config", "get", "x").err


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_every_command_has_help_with_examples(ask: Ask, entry: object) -> None:
    """Each command says what it is for, and each that does something shows how."""
    assert entry in TABLE
    for path, command in walk():
        if path[:1] != (getattr(entry, "name", ""),):
            continue
        done = ask(*path, "--help")
        assert done.code == 0
        assert done.out.startswith(f"Usage: skillspace {' '.join(path)} ")
        assert command.help, path
        if not isinstance(command, Group):
            assert "\nExamples:\n  " in done.out, path
            assert f"skillspace {' '.join(path)}" in done.out.partition("Examples:")[2], path


def test_every_option_is_explained() -> None:
    """No option or argument is left without a help text."""
    seen = 0
    for path, command in walk():
        for parameter in command.params:
            seen += 1
            assert getattr(parameter, "help", ""), (path, parameter.name)
    assert seen > 15


def test_a_group_alone_shows_its_help(ask: Ask) -> None:
    """A group without a command prints its help and is no error."""
    assert ask("config") == ask("config", "--help")
    assert ask("config").code == 0


def test_only_the_invoked_command_is_built(ask: Ask) -> None:
    """A group hands out commands one by one, through the function of Typer that is relied on."""
    from skillspace.cli.config import app

    group = Group(app, "config")
    assert group.commands == {}
    assert callable(get_command_from_info)
    assert group.list_commands(None)[:2] == ["show", "get"]  # type: ignore[arg-type]  # not looked at
