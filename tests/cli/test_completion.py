"""Completions are true: what the tree says, what the database holds, and what bash inserts."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from skillspace.cli.complete import candidates
from skillspace.cli.generated import TREES
from skillspace.cli.main import TABLE, walk
from skillspace.cli.shells import SCRIPTS
from skillspace.core.db.glance import LIMIT, glance
from tests.cli.conftest import ROOT, Done
from tests.cli.terminals import terminal

Ask = Callable[..., Done]


@pytest.fixture
def filled(environment: dict[str, str], home: Path) -> dict[str, str]:
    """Return an environment whose database has two sessions and a task."""
    (home / "data").mkdir(parents=True)
    with sqlite3.connect(home / "data/skillspace.db") as database:
        database.executescript(
            """
            CREATE TABLE chat_sessions (id INTEGER PRIMARY KEY, title TEXT, updated_at TEXT);
            CREATE TABLE tasks (id TEXT PRIMARY KEY, kind TEXT, state TEXT, created_at TEXT);
            CREATE TABLE resumes (id INTEGER PRIMARY KEY, title TEXT, updated_at TEXT);
            INSERT INTO chat_sessions VALUES (7, 'Older, 简历', '2026-01-01'),
                (12, 'a\ttab and\nnewline', '2026-01-02');
            INSERT INTO tasks VALUES ('0b5f-aa', 'chat', 'SUCCESS', '2026-01-01');
            """
        )
    database.close()
    return environment


def values(environment: dict[str, str], *words: str) -> list[str]:
    """Return the values that complete the last word."""
    *before, word = words
    return [value for value, _ in candidates(TREES["en"], before, word, environment)]


def test_commands_and_options(environment: dict[str, str]) -> None:
    """The first word is a command; a dash asks for options."""
    assert values(environment, "") == [entry.name for entry in TABLE]
    assert values(environment, "con") == ["config"]
    assert values(environment, "config", "s") == ["show", "set"]
    assert values(environment, "-q", "config", "v") == ["validate"]
    assert "--json" in values(environment, "config", "show", "-")
    assert values(environment, "config", "show", "--js") == ["--json"]
    assert values(environment, "config", "show", "x", "") == []


def test_values_of_known_kinds(environment: dict[str, str]) -> None:
    """Settings, choices, files and models complete where they are asked for."""
    assert values(environment, "config", "get", "chat.t") == [
        "chat.temperature", "chat.top_p", "chat.top_k",
    ]  # fmt: skip
    assert values(environment, "config", "set", "language", "") == ["auto", "en", "zh"]
    assert values(environment, "config", "set", "chat.show_thinking", "t") == ["true"]
    assert values(environment, "config", "set", "chat.top_k", "") == []
    assert values(environment, "--lang", "") == ["en", "zh"]
    assert values(environment, "--lang=z") == ["--lang=zh"]
    assert values(environment, "completion", "") == list(SCRIPTS)
    assert values(environment, "config", "validate", "") == [":file"]
    assert "skillspace-tiny" in values(environment, "chat", "--model", "")


def test_values_from_the_database(filled: dict[str, str]) -> None:
    """Ids come newest first, and only those that begin as typed."""
    assert values(filled, "session", "show", "") == ["12", "7"]
    assert values(filled, "session", "show", "1") == ["12"]
    assert values(filled, "task", "show", "") == ["0b5f-aa"]
    assert values(filled, "chat", "--session", "7") == ["7"]
    assert glance("TASK", filled) == [("0b5f-aa", "chat SUCCESS")]
    assert glance("RESUME", filled) == []


def test_a_glance_is_silent_on_any_failure(environment: dict[str, str], home: Path) -> None:
    """No file, no database, no table, another database: nothing is said and nothing made."""
    assert glance("SESSION", environment) == []
    assert not home.exists()
    (home / "data").mkdir(parents=True)
    (home / "data/skillspace.db").write_text("no database" * 100)
    assert glance("SESSION", environment) == []
    sqlite3.connect(home / "data/other.db").close()
    for url in (f"sqlite:///{home}/data/other.db", "postgresql://h/d", "sqlite:////nowhere"):
        assert glance("SESSION", {**environment, "SKILLSPACE_DATABASE_URL": url}) == []
    assert glance("NOTHING", environment) == []


def test_a_glance_takes_any_prefix(filled: dict[str, str]) -> None:
    """What is typed is text, not a pattern and not SQL."""
    for prefix in ("*", "[", "?", "'", "' OR 1=1 --", "%"):
        assert glance("SESSION", filled, prefix) == []


def test_a_glance_is_bounded(filled: dict[str, str], home: Path) -> None:
    """Thousands of sessions do not flood a terminal."""
    with sqlite3.connect(home / "data/skillspace.db") as database:
        rows = [(i, "t", "2026") for i in range(100, 2100)]
        database.executemany("INSERT INTO chat_sessions VALUES (?, ?, ?)", rows)
    database.close()
    assert len(glance("SESSION", filled)) == LIMIT


def test_the_tree_is_the_command_line() -> None:
    """Every command and option that exists is in the tree, and nothing else."""
    for path, command in walk():
        node = TREES["en"]
        for name in path:
            node = node[2][name][1]  # type: ignore[index]  # a literal of nested tuples
        names = [name for p in command.params for name in (*p.opts, *p.secondary_opts)]
        options = {name for name in names if name.startswith("-")}
        assert options <= set(node[0]), path  # type: ignore[index]  # as above
        assert set(node[0]) - options <= {"-h", "--help"}, path  # type: ignore[index]  # as above


def test_a_title_does_not_break_the_answer(call: Ask, filled: dict[str, str]) -> None:
    """A tab or newline in a title stays within its candidate's description."""
    done = call(
        _SKILLSPACE_COMPLETE="fish", COMP_WORDS="skillspace\nsession\nshow\n", COMP_CWORD="3"
    )
    assert done == Done(0, "12\ta tab and newline\n7\tOlder, 简历\n", "")


@pytest.mark.parametrize("number", ["", "x", "99", "-1"])
def test_nonsense_from_a_shell_is_no_error(call: Ask, number: str) -> None:
    """Whatever a shell says, there is no trace on the screen."""
    done = call(_SKILLSPACE_COMPLETE="zsh", COMP_WORDS="skillspace\nconfig\n", COMP_CWORD=number)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("shell", list(SCRIPTS))
def test_scripts_are_printed_and_committed(ask: Ask, shell: str) -> None:
    """What the command prints is what lies in completions/, bar the comment at its head."""
    name, script = SCRIPTS[shell]
    assert ask("completion", shell) == Done(0, script, "")
    lines = (ROOT / "completions" / name).read_text().splitlines()
    assert [line for line in lines if "Written by" not in line] == script.splitlines()


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/skillspace.bash"),
        ("zsh", ".local/share/zsh/site-functions/_skillspace"),
        ("fish", ".config/fish/completions/skillspace.fish"),
    ],
)
def test_install(ask: Ask, tmp_path: Path, shell: str, place: str) -> None:
    """It is written where the shell looks by itself."""
    done = ask("completion", shell, "--install")
    assert (done.code, done.out) == (0, "")
    assert (tmp_path / place).read_text() == SCRIPTS[shell][1]
    assert str(tmp_path / place) in done.err


def test_powershell_has_no_place(ask: Ask) -> None:
    """Where nothing is read by itself the remedy is the line to add."""
    done = ask("completion", "powershell", "--install")
    assert done.code == 2
    assert "$PROFILE" in done.err


BASH = """
source "$SCRIPT"
ask() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=${TYPE:-9}
    compopt() { OPTS+=("$*"); }
    _skillspace_complete skillspace
    printf '%s\\n' "${COMPREPLY[@]}"
}
complete -p skillspace | grep -q _skillspace_complete || echo "not registered"
"""


@pytest.fixture
def shell_environment(filled: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Return an environment in which a shell finds `skillspace`, and nothing of the user's."""
    program = tmp_path / "bin" / "skillspace"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m skillspace "$@"\n')
    program.chmod(0o755)
    return {
        **filled,
        "PATH": f"{program.parent}:{filled['PATH']}",
        "TERM": "dumb",
        "PS1": "ready> ",
        "ZDOTDIR": str(tmp_path),
        "SCRIPT": str(ROOT / "completions/skillspace.bash"),
    }


def find_shell(name: str) -> str:
    """Return a shell's path; skip where it is not installed, unless everything must run."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("SKILLSPACE_TEST_SERVICES") == "required":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture
def bash(shell_environment: dict[str, str], tmp_path: Path) -> Callable[[str], list[str]]:
    """Return a function that runs lines in a bash that has sourced the completion."""

    def run(lines: str) -> list[str]:
        done = subprocess.run(
            [find_shell("bash"), "--norc", "-c", BASH + lines],
            env=shell_environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run


def test_bash_really_completes(bash: Callable[[str], list[str]]) -> None:
    """The script, sourced in bash, inserts commands, options and ids from the database."""
    assert bash("ask skillspace conf") == ["config"]
    assert bash("ask skillspace session show ''") == ["12", "7"]
    assert bash("ask skillspace config get chat.top_") == ["chat.top_p", "chat.top_k"]
    assert bash("ask skillspace chat --session = 1") == ["12"]
    assert bash("ask skillspace --lang =") == ["en", "zh"]
    assert bash("ask skillspace nonsense ''") == [""]


def test_bash_shows_descriptions_in_lists_only(bash: Callable[[str], list[str]]) -> None:
    """A list (TAB TAB) explains the ids; what is inserted is the id alone."""
    assert bash("TYPE=63 ask skillspace session show ''") == [
        "12  (a tab and newline)", "7  (Older, 简历)",
    ]  # fmt: skip


def test_bash_completes_files_itself(bash: Callable[[str], list[str]], tmp_path: Path) -> None:
    """Where a file is asked for bash's own completion answers, spaces and all."""
    (tmp_path / "my settings.toml").write_text("")
    assert bash("ask skillspace config validate my") == ["my settings.toml"]


def test_bash_in_a_terminal(shell_environment: dict[str, str], tmp_path: Path) -> None:
    """Pressing TAB in an interactive bash puts the words on the line."""
    command = [find_shell("bash"), "--norc", "--noprofile", "-i"]
    with terminal(command, shell_environment, tmp_path) as keyboard:
        keyboard.type(f"source {ROOT}/completions/skillspace.bash; echo sour''ced\n")
        keyboard.wait_for("sourced\r\n")
        keyboard.type("skillspace confi\t").wait_for("skillspace config ")
        keyboard.type("get chat.show\t").wait_for("chat.show_thinking ")
        keyboard.type("\n").wait_for("false\r\n")


@pytest.mark.services
def test_zsh_in_a_terminal(shell_environment: dict[str, str], tmp_path: Path) -> None:
    """Pressing TAB in an interactive zsh puts the words on the line, and explains a list."""
    (tmp_path / ".zshrc").write_text(
        f"fpath=({ROOT}/completions $fpath)\nautoload -Uz compinit\ncompinit -u -D\n"
        "PS1='> '\nzle -N zle-line-init hello\nhello() { print ready }\n"
    )
    with terminal([find_shell("zsh"), "-i"], shell_environment, tmp_path) as keyboard:
        keyboard.wait_for("ready").type("skillspace config get chat.show\t")
        keyboard.wait_for("chat.show_thinking ")
        keyboard.type("\n").wait_for("false")
        keyboard.wait_for("ready").type("skillspace session show \t")
        keyboard.wait_for("12  -- a tab and newline").wait_for("7  -- Older, 简历")


@pytest.mark.services
def test_fish_really_completes(shell_environment: dict[str, str], tmp_path: Path) -> None:
    """The script, sourced in fish, offers commands, ids with titles, and files."""
    (tmp_path / "mine.toml").write_text("")
    asked = ["skillspace conf", "skillspace session show 1", "skillspace config validate mi"]
    lines = [f"source {ROOT}/completions/skillspace.fish", *(f"complete -C {a!r}" for a in asked)]
    done = subprocess.run(
        [find_shell("fish"), "--no-config", "-c", "\n".join(lines)],
        env=shell_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "config\tShow and change settings",
        "12\ta tab and newline",
        "mine.toml",
    ]
