"""Settings are read from four places, the last wins, and a mistake is shown where it stands."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillspace.core.errors import SettingsError, StorageUnavailable
from skillspace.core.settings import setting_keys
from skillspace.core.settings_sources import Loaded, check_file, load_settings, locate

EXAMPLE = """\
# mine
language = "zh"

[chat]
temperature = 0.5
top_k = 5

[tasks]
lease_s = 20
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder that SKILLSPACE_HOME will name."""
    return tmp_path


def load(home: Path, text: str = "", **env: str) -> Loaded:
    """Write a config.toml and read the settings."""
    if text:
        (home / "config.toml").write_text(text, encoding="utf-8")
    return load_settings({"SKILLSPACE_HOME": str(home), **env})


def refusal(home: Path, text: str = "", **env: str) -> SettingsError:
    """Return the error that these settings end in."""
    with pytest.raises(SettingsError) as caught:
        load(home, text, **env)
    return caught.value


def test_without_anything_the_defaults_count(home: Path) -> None:
    """A fresh machine needs no file; the database lies in the data folder."""
    loaded = load(home)
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.settings.chat.temperature == 0.7
    assert loaded.settings.database_url == f"sqlite:///{home}/data/skillspace.db"
    assert loaded.settings.folders.data == home / "data"
    assert list(home.iterdir()) == []


def test_the_last_source_wins_and_is_named(home: Path) -> None:
    """Flag before variable before file before default, each with its place."""
    (home / "config.toml").write_text(EXAMPLE, encoding="utf-8")
    environment = {
        "SKILLSPACE_HOME": str(home),
        "SKILLSPACE_CHAT_TEMPERATURE": "0.9",
        "SKILLSPACE_CHAT_TOP_K": "7",
    }
    loaded = load_settings(environment, {"chat.temperature": "0.1"})
    assert loaded.settings.chat.temperature == 0.1
    assert loaded.settings.chat.top_k == 7
    assert loaded.settings.language == "zh"
    assert loaded.sources["chat.temperature"] == "flag"
    assert loaded.sources["chat.top_k"] == "SKILLSPACE_CHAT_TOP_K"
    assert loaded.sources["language"] == f"{home}/config.toml:2"
    assert loaded.sources["tasks.lease_s"] == f"{home}/config.toml:9"
    assert loaded.sources["chat.top_p"] == "default"
    assert set(loaded.sources) == set(setting_keys())


@pytest.mark.parametrize(
    ("text", "place", "words", "hint"),
    [
        ("[chat]\ntemprature = 1", "2:1", "no setting chat.temprature", "chat.temperature?"),
        ("lang = 'zh'", "1:1", "no setting lang", "language?"),
        ("zzz = 1", "1:1", "no setting zzz", "The settings are language, "),
        ("chat = 3", "1:1", "no setting chat", "chat is a group; its settings are chat.temp"),
        ("[chta]\ntop_k = 3", "2:1", "no setting chta.top_k", "chat.top_k?"),
        ("[emtpy]\n", "1:2", "no setting emtpy", ""),
        ("[chat]\n  temperature = 3", "2:3", "is 3, but must be a number from 0 to 2", ""),
        ("[chat]\ntemperature = '0.5'", "2:1", 'is "0.5", but must be', ""),
        ("[chat]\ntop_p = 0", "2:1", "above 0 and up to 1", ""),
        ("[chat]\ntop_k = true", "2:1", "is true, but must be a whole number", ""),
        ("[chat]\ntop_k = 1.5", "2:1", "is 1.5, but must be a whole number", ""),
        ("language = 'fr'", "1:1", "one of auto, en, zh", ""),
        ("database_url = 'oracle://x'", "1:1", "sqlite://, postgresql://", ""),
        ("chat.top_k = -1", "1:1", "from 0 to", ""),
        ("chat = {top_k = -1}", "1:1", "from 0 to", ""),
        ("secret_key = 'x'", "1:1", "does not belong here", "secrets.toml"),
        ("[chat\ntop_k = 1", "1:6", "", "brackets"),
        ("a = 1\nb =", "2:4", "", "brackets"),
        ("language = 'zh'\nlanguage = 'en'", "2:", "", "brackets"),
    ],
)
def test_a_mistake_in_the_file(home: Path, text: str, place: str, words: str, hint: str) -> None:
    """The error names file, line and column, the key, and what is allowed or nearest."""
    error = refusal(home, text)
    assert error.message.startswith(f"{home}/config.toml:{place}")
    assert words in error.message
    assert hint in error.hint
    assert error.hint


@pytest.mark.parametrize(
    ("name", "value", "words", "hint"),
    [
        ("SKILLSPACE_CHAT_TEMPRATURE", "1", "no setting", "SKILLSPACE_CHAT_TEMPERATURE?"),
        ("SKILLSPACE_HOEM", "/x", "no setting", "SKILLSPACE_HOME?"),
        ("SKILLSPACE_QQQ", "1", "no setting", "Unset it."),
        ("SKILLSPACE_CHAT_TOP_K", "many", "is many, but must be a whole number", ""),
        ("SKILLSPACE_CHAT_TEMPERATURE", "nan", "is nan, but must be", ""),
        ("SKILLSPACE_CHAT_TEMPERATURE", "inf", "but must be", ""),
        ("SKILLSPACE_CHAT_SHOW_THINKING", "maybe", "one of true, false", ""),
        ("SKILLSPACE_SECRET_KEY", "short-canary", "32 characters", ""),
    ],
)
def test_a_mistake_in_the_environment(
    home: Path, name: str, value: str, words: str, hint: str
) -> None:
    """The error names the variable; a secret's value is not shown."""
    error = refusal(home, **{name: value})
    assert name in error.message
    assert words in error.message
    assert hint in error.hint
    assert "canary" not in error.message


@pytest.mark.parametrize(
    ("value", "meaning"), [("1", True), ("TRUE", True), ("on", True), ("no", False), ("0", False)]
)
def test_variables_say_yes_and_no_in_many_ways(home: Path, value: str, meaning: bool) -> None:
    """Truths in the environment are words that people use."""
    assert load(home, SKILLSPACE_CHAT_SHOW_THINKING=value).settings.chat.show_thinking is meaning


def test_what_is_no_setting_is_left_alone(home: Path) -> None:
    """The home, an empty variable and other programs' variables are no mistakes."""
    loaded = load(home, SKILLSPACE_LANGUAGE="", SKILLSPACE_TEST_SERVICES="1", OTHER="x")
    assert loaded.sources["language"] == "default"


def test_a_heartbeat_must_fit_its_lease(home: Path) -> None:
    """Values that only together are wrong are refused together."""
    error = refusal(home, "[tasks]\nheartbeat_s = 9")
    assert error.message.startswith(f"{home}/config.toml:2: tasks.heartbeat_s is 9.0")
    assert "15.0" in error.message


def test_a_file_that_is_no_text(home: Path) -> None:
    """Bytes that are not UTF-8 are named by their offset."""
    (home / "config.toml").write_bytes(b"language = '\xff'")
    assert "byte 12" in refusal(home).message


def test_a_file_that_cannot_be_read(home: Path) -> None:
    """A folder where the file should be is a storage error with its path."""
    (home / "config.toml").mkdir()
    with pytest.raises((StorageUnavailable, OSError), match=r"config\.toml"):
        load(home)


def test_a_file_can_be_checked_before_use(tmp_path: Path) -> None:
    """Another file is read like the real one; how many keys it sets is returned."""
    path = tmp_path / "new.toml"
    path.write_text(EXAMPLE)
    assert check_file(path) == 4
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        check_file(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("text", "name", "place"),
    [
        ("a = '''\n[chat]\ntop_k = 1\n'''\n[chat]\ntop_k = 2", "chat.top_k", (6, 1)),
        ('x = """one line"""\nlanguage = "zh"', "language", (2, 1)),
        ("[ chat ]\n'top_k' = 1", "chat.top_k", (2, 1)),
        ('[chat] # t\n  "top_k"=1', "chat.top_k", (2, 3)),
        ("x = 1", "chat.top_k", None),
    ],
)
def test_keys_are_found_where_they_stand(
    text: str, name: str, place: tuple[int, int] | None
) -> None:
    """Quotes, comments and texts of several lines do not mislead the search."""
    assert locate(text, name) == place


@given(st.text(max_size=60), st.sampled_from(list(setting_keys())))
def test_looking_for_a_key_never_fails(text: str, name: str) -> None:
    """Any text can be searched, and a place that is found lies inside it."""
    place = locate(text, name)
    assert place is None or (1 <= place[0] <= text.count("\n") + 1 and place[1] >= 1)
