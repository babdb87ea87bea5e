"""`skillspace doctor` works when other commands do not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from skillspace.cli.checks import check_font
from skillspace.core.db.glance import has_wal_reset_fault
from tests.cli.conftest import Done

Ask = Callable[..., Done]


def checks(done: Done) -> dict[str, dict[str, str]]:
    """Return the checks of a `doctor --json` by name."""
    return {check["name"]: check for check in json.loads(done.out)}


def test_a_fresh_machine(ask: Ask, home: Path) -> None:
    """Every part is looked at, and looking makes nothing."""
    found = checks(ask("doctor", "--json"))
    assert {
        "python", "settings", "secrets", "folder data", "disk", "sqlite", "database",
        "extra local", "model", "terminal", "font",
    } <= set(found)  # fmt: skip
    for name in ("python", "settings", "secrets", "folder data", "database"):
        assert found[name]["state"] == "ok", found[name]
    assert not home.exists()


def test_people_get_lines_with_remedies(ask: Ask, home: Path) -> None:
    """Each check is a line that begins with its state; a remedy follows on its own."""
    home.mkdir()
    (home / "config.toml").write_text("[chat]\ntempo = 1\n")
    done = ask("doctor")
    assert done.code == 1
    lines = done.out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("fail  settings "))
    assert f"{home}/config.toml:2:1" in lines[at]
    assert lines[at + 1].strip().startswith("→ ")
    assert any(line.startswith("ok    python ") for line in lines)


def test_a_broken_config_hides_nothing_else(ask: Ask, home: Path) -> None:
    """What does not depend on the settings is still looked at."""
    home.mkdir()
    (home / "config.toml").write_bytes(b"\xff")
    done = ask("doctor", "--json")
    found = checks(done)
    assert done.code == 1
    assert found["settings"]["state"] == "fail"
    assert {"python", "secrets", "folder data", "disk", "sqlite", "terminal"} <= set(found)


def test_an_open_secret(ask: Ask, home: Path) -> None:
    """Secrets that others can read fail, with the command that closes them."""
    home.mkdir()
    (home / "secrets.toml").write_text(f'secret_key = "{"k" * 40}"')
    (home / "secrets.toml").chmod(0o644)
    found = checks(ask("doctor", "--json"))
    assert found["secrets"]["state"] == "fail"
    assert found["secrets"]["remedy"] == f"Close it: chmod 600 {home}/secrets.toml"


def test_a_home_that_is_a_file(ask: Ask, home: Path) -> None:
    """A home that cannot hold anything is found and named."""
    home.write_text("")
    done = ask("doctor", "--json")
    assert done.code == 1
    assert str(home) in json.dumps(checks(done)["settings"])


def test_a_database_that_is_none(ask: Ask, home: Path) -> None:
    """A file that is no database fails with words, not with a stack trace."""
    (home / "data").mkdir(parents=True)
    (home / "data" / "skillspace.db").write_text("this is no database, but a letter" * 100)
    done = ask("doctor", "--json")
    assert done.code == 1
    found = checks(done)["database"]
    assert found["state"] == "fail"
    assert "skillspace.db" in found["found"]


def test_a_model_that_is_not_there(ask: Ask) -> None:
    """The model of the settings is looked for, and its absence has a remedy."""
    done = ask("doctor", "--json", SKILLSPACE_MODEL_NAME="nobody/nothing")
    found = checks(done)["model"]
    assert (done.code, found["state"]) == (1, "fail")
    assert found["remedy"]


def test_a_database_that_does_not_answer(ask: Ask) -> None:
    """A server that is away fails, and its password is not shown."""
    url = "postgresql://ann:canary@127.0.0.1:9/space"
    done = ask("doctor", "--json", SKILLSPACE_DATABASE_URL=url)
    assert checks(done)["database"]["state"] == "fail"
    assert "canary" not in done.out + done.err


def test_the_model_library_is_not_loaded(loaded_modules: Callable[..., set[str]]) -> None:
    """Whether torch is installed is told without importing it."""
    modules = loaded_modules("doctor")
    assert "skillspace.cli.checks" in modules
    assert not modules & {"torch", "transformers", "textual", "rich"}


@pytest.mark.parametrize(
    ("version", "fault"),
    [
        ((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False), ((3, 45, 0), True),
        ((3, 50, 6), True), ((3, 50, 7), False), ((3, 51, 2), True), ((3, 51, 3), False),
        ((3, 53, 0), False), ((4, 0, 0), False),
    ],
)  # fmt: skip
def test_faulty_sqlite_versions_are_known(version: tuple[int, int, int], fault: bool) -> None:
    """The versions that can damage a file are exactly those that SQLite names."""
    assert has_wal_reset_fault(version) is fault


def test_a_font_is_only_informative(tmp_path: Path) -> None:
    """Without fc-list nothing is known and nothing is wrong; without a font there is a remedy."""
    assert check_font({}, lambda _: None).state == "ok"
    silent = tmp_path / "fc-list"
    silent.write_text("#!/bin/sh\n")
    silent.chmod(0o755)
    found = check_font({"PATH": "/usr/bin:/bin"}, lambda _: str(silent))
    assert found.state == "warn"
    assert found.remedy
