"""`skillspace session`: lists, shows, finds, exports, renames and deletes; people and programs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done
from tests.cli.test_chat import OUR_CODES, chat_once

Ask = Callable[..., Done]


@pytest.fixture
def two(environment: dict[str, str]) -> None:
    """Make two sessions, one in English and one in Chinese."""
    chat_once(environment, "How do I write a cover letter?", pieces=("Begin with **why**.",))
    chat_once(environment, "怎么写简历？", pieces=("先写\x1b[31m成果。",))


@pytest.mark.parametrize("command", [("list",), ("search", "word")])
def test_nothing_yet(ask: Ask, command: tuple[str, ...]) -> None:
    """Without sessions stdout is empty, stderr says so, and the exit code is 0."""
    done = ask("session", *command)
    assert (done.code, done.out) == (0, "")
    assert "session" in done.err
    assert json.loads(ask("session", *command, "--json").out) == []


@pytest.mark.usefixtures("two")
def test_list(ask: Ask) -> None:
    """A list has a line per session, the newest first; `--before` goes on after one."""
    lines = ask("session", "list").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["2", "1"]
    assert "怎么写简历？" in lines[1]
    told = json.loads(ask("session", "list", "-n", "1", "--json").out)
    assert [session["id"] for session in told] == [2]
    assert told[0]["message_count"] == 2
    older = json.loads(ask("session", "list", "--before", "2", "--json").out)
    assert [session["id"] for session in older] == [1]


@pytest.mark.usefixtures("two")
def test_show_is_clean_in_a_pipe_and_on_a_terminal(ask: Ask) -> None:
    """`last` is a name; a terminal gets it rendered; no code of the model's comes out."""
    piped = ask("session", "show", "last").out
    assert "先写成果。" in piped
    assert "\x1b" not in piped
    shown = ask("session", "show", "1", tty=True, PAGER="cat").out
    assert "Begin with why." in OUR_CODES.sub("", shown)
    assert "Begin with **why**." in ask("session", "show", "How do I").out
    told = json.loads(ask("session", "show", "last", "--last", "1", "--json").out)
    assert [message["text"] for message in told["messages"]] == ["先写\x1b[31m成果。"]


@pytest.mark.usefixtures("two")
def test_search_in_both_languages(ask: Ask) -> None:
    """Several words need no quotes; the place where they stand is shown."""
    found = ask("session", "search", "cover", "letter").out
    assert found.startswith("1  How do I write")
    assert "You: How do I write a cover letter?" in found
    assert [m["id"] for m in json.loads(ask("session", "search", "简历", "--json").out)] == [2]
    assert ask("session", "search", "?!").code == 2


@pytest.mark.usefixtures("two")
def test_export(ask: Ask, tmp_path: Path) -> None:
    """Markdown goes to stdout; a file is written whole, and replaced only by `--force`."""
    assert ask("session", "export", "1").out.startswith("# How do I write a cover letter?\n")
    path = tmp_path / "talk.json"
    args = ("session", "export", "last", "-f", "json", "-o", str(path))
    assert ask(*args).out == ""
    assert json.loads(path.read_text())["messages"][1]["text"] == "先写\x1b[31m成果。"
    path.write_text("mine")
    refused = ask(*args)
    assert (refused.code, path.read_text()) == (6, "mine")
    assert "--force" in refused.err
    assert ask(*args, "--force").code == 0
    assert json.loads(path.read_text())["format"] == "skillspace.session"
    assert [each.name for each in tmp_path.iterdir() if each.name != "space"] == ["talk.json"]


@pytest.mark.usefixtures("two")
def test_export_to_a_folder_that_is_not_there(ask: Ask, tmp_path: Path) -> None:
    """A folder that does not exist is an error of ours, not a stack trace."""
    done = ask("session", "export", "1", "-o", str(tmp_path / "none" / "talk.md"))
    assert done.code == 5
    assert "none" in done.err


@pytest.mark.usefixtures("two")
def test_rename(ask: Ask) -> None:
    """A session has its new title; an empty one is refused."""
    assert ask("session", "rename", "1", "Letter").code == 0
    assert json.loads(ask("session", "show", "Letter", "--json").out)["session"]["id"] == 1
    assert ask("session", "rename", "1", " ").code == 2


@pytest.mark.usefixtures("two")
def test_delete_asks_and_says_what_goes(ask: Ask) -> None:
    """Without a terminal `--yes` is needed; a no deletes nothing; a yes deletes for good."""
    unasked = ask("session", "delete", "1")
    assert unasked.code == 2
    assert "2 messages" in unasked.err
    assert ask("session", "delete", "1", tty=True, stdin="n\n").code == 1
    assert ask("session", "show", "1").code == 0
    done = ask("session", "delete", "1", tty=True, stdin="y\n")
    assert done.code == 0
    assert "How do I write a cover letter?" in done.err
    assert ask("session", "show", "1").code == 5
    gone = json.loads(ask("session", "delete", "2", "--yes", "--json").out)
    assert [session["id"] for session in gone] == [2]


@pytest.mark.parametrize(
    "args",
    [("show", "9"), ("export", "last"), ("rename", "x", "y"), ("delete", "9", "--yes")],
)
def test_unknown_sessions_are_not_found(ask: Ask, args: tuple[str, ...]) -> None:
    """A session that is not there exits 5."""
    assert ask("session", *args).code == 5


@pytest.mark.parametrize("command", ["list", "show", "search", "export", "rename", "delete"])
def test_help_has_an_example(ask: Ask, command: str) -> None:
    """Every command's help shows how it is called."""
    assert (
        f"skillspace session {command}" in ask("session", command, "--help").out.split("\n", 3)[3]
    )
