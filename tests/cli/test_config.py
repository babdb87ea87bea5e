"""`skillspace config` shows, stores and checks settings."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from skillspace.core.settings import STARS, setting_keys
from tests.cli.conftest import Done

Ask = Callable[..., Done]
CANARY = "canary-canary-canary-canary-canary"


def test_set_get_unset(ask: Ask, home: Path) -> None:
    """What is stored is in force, with its source, until it is taken out."""
    done = ask("config", "set", "chat.temperature", "0.3")
    assert done == Done(0, "", f"chat.temperature is now 0.3 in {home}/config.toml.\n")
    assert ask("config", "get", "chat.temperature") == Done(0, "0.3\n", "")
    got = json.loads(ask("config", "get", "chat.temperature", "--json").out)
    assert got == {
        "key": "chat.temperature", "value": 0.3, "source": f"{home}/config.toml:2",
    }  # fmt: skip
    assert ask("-q", "config", "unset", "chat.temperature") == Done(0, "", "")
    assert ask("config", "get", "chat.temperature").out == "0.7\n"


def test_show_has_every_key_and_its_source(ask: Ask) -> None:
    """Every setting is shown, for people and for programs."""
    done = ask("config", "show", SKILLSPACE_CHAT_TOP_K="3")
    lines = {line.split()[0]: line.split() for line in done.out.splitlines()[1:]}
    assert set(lines) == set(setting_keys())
    assert lines["chat.top_k"] == ["chat.top_k", "3", "SKILLSPACE_CHAT_TOP_K"]
    body = json.loads(ask("config", "show", "--json", SKILLSPACE_CHAT_TOP_K="3").out)
    assert body["chat.top_k"] == {"value": 3, "source": "SKILLSPACE_CHAT_TOP_K"}
    assert set(body) == set(setting_keys())


@pytest.mark.parametrize("args", [["show"], ["show", "--json"], ["get", "secret_key"],
                                  ["get", "database_url"], ["validate"]])  # fmt: skip
def test_secrets_are_stars(ask: Ask, args: list[str]) -> None:
    """No way of looking at settings shows a secret, under --verbose neither."""
    variables = {
        "SKILLSPACE_SECRET_KEY": CANARY,
        "SKILLSPACE_DATABASE_URL": f"postgresql://ann:{CANARY}@host/space",
    }
    for options in ([], ["--verbose"]):
        done = ask(*options, "config", *args, **variables)
        assert done.code == 0
        assert CANARY not in done.out + done.err
    assert STARS in ask("config", "get", "database_url", **variables).out


def test_a_secret_in_a_wrong_value_is_starred(ask: Ask) -> None:
    """A URL that is refused is not shown with its password."""
    done = ask("config", "show", SKILLSPACE_DATABASE_URL=f"oracle://ann:{CANARY}@host/x")
    assert done.code == 2
    assert CANARY not in done.err
    assert "oracle" in done.err


def test_a_setting_that_does_not_count_is_mentioned(ask: Ask) -> None:
    """Storing what a variable overrides says so."""
    done = ask("config", "set", "chat.top_k", "4", SKILLSPACE_CHAT_TOP_K="3")
    assert "SKILLSPACE_CHAT_TOP_K is set in the environment and wins" in done.err


def test_path_works_on_a_broken_file(ask: Ask, home: Path) -> None:
    """Where the file lies can be asked when the file is broken."""
    home.mkdir()
    (home / "config.toml").write_text("[[[")
    assert ask("config", "path", "--file") == Done(0, f"{home}/config.toml\n", "")
    assert json.loads(ask("config", "path", "--json").out)["data"] == f"{home}/data"
    assert f"{home}/state" in ask("config", "path").out
    assert ask("config", "show").code == 2


def test_validate(ask: Ask, home: Path, tmp_path: Path) -> None:
    """A good file is 0, a typo is 2 with its place."""
    assert ask("config", "validate").code == 0
    other = tmp_path / "new.toml"
    other.write_text("[chat]\ntop_k = 3\n")
    assert "sets 1" in ask("config", "validate", str(other)).err
    other.write_text("[chat]\ntop_kk = 3\n")
    done = ask("config", "validate", str(other))
    assert done.code == 2
    assert done.err == (
        f"error: {other}:2:1: There is no setting chat.top_kk.\nhint: Did you mean chat.top_k?\n"
    )


def test_a_read_only_home(ask: Ask) -> None:
    """A place that nobody can write to, root neither, ends with 3, its path and a remedy."""
    done = ask("config", "set", "language", "zh", SKILLSPACE_HOME="/sys/skillspace")
    assert done.code == 3
    assert "/sys/skillspace" in done.err
    assert "SKILLSPACE_HOME=" in done.err


def test_a_home_that_is_no_folder(ask: Ask, home: Path) -> None:
    """A file where the home should be ends with 3, its path and a remedy."""
    home.write_text("I am a file")
    done = ask("config", "set", "language", "zh")
    assert done.code == 3
    assert str(home) in done.err
    assert "SKILLSPACE_HOME=" in done.err


def test_chinese(call: Ask) -> None:
    """Messages and help follow the language."""
    done = call("--lang", "zh", "config", "get", "chat.temprature")
    assert done.code == 2
    assert done.err.startswith("错误：")
    assert "chat.temperature" in done.err
    shown = call("config", "show", "--help", LANG="zh_CN.UTF-8").out
    assert "用法：" in shown
    assert "--json      输出供程序使用的 JSON" in shown
