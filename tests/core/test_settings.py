"""The tree of settings: described, bounded, and silent about secrets."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillspace.core.home import Home, find_home, peek_setting
from skillspace.core.settings import (
    STARS,
    Folders,
    Settings,
    get_value,
    setting_keys,
    shown_value,
    star_passwords,
)

CANARY = "canary-canary-canary-canary-canary"
FOLDERS = Folders(config=Path("/c"), data=Path("/d"), state=Path("/s"), cache=Path("/k"))


def settings_with(**values: object) -> Settings:
    """Return default settings with some replaced."""
    return msgspec.structs.replace(Settings(folders=FOLDERS), **values)


def test_every_setting_is_described() -> None:
    """Each key has a meaning, a sentence on what is allowed, and a variable of its own."""
    keys = setting_keys()
    assert {"language", "database_url", "model.name", "chat.temperature", "log.level"} <= set(keys)
    assert len({key.variable for key in keys.values()}) == len(keys)
    for key in keys.values():
        assert key.description.endswith("."), key.name
        assert key.allowed, key.name
    assert keys["chat.top_p"].variable == "SKILLSPACE_CHAT_TOP_P"


def test_every_default_is_allowed() -> None:
    """A default passes the check that other values must pass."""
    for key in setting_keys().values():
        if key.default is not None:
            assert msgspec.convert(key.default, key.type) == key.default


def test_settings_are_frozen() -> None:
    """Nobody changes a setting after it was read."""
    with pytest.raises(AttributeError):
        settings_with().language = "zh"  # type: ignore[misc]  # what must not work


def test_secrets_never_show() -> None:
    """Neither the secret key nor a URL's password is in any text made from settings."""
    settings = settings_with(
        secret_key=CANARY, database_url=f"postgresql://ann:{CANARY}@host/space?password={CANARY}"
    )
    texts = [repr(settings), str(settings), f"{settings}", f"{settings!r:>10}"]
    texts += [str(shown_value(key, settings)) for key in setting_keys()]
    for text in texts:
        assert CANARY not in text
    assert f"postgresql://ann:{STARS}@host/space?password={STARS}" in texts[0]
    assert get_value(settings, "secret_key") == CANARY


@given(st.text(alphabet="abz09!$%&*()-_=+:/@#?", min_size=1, max_size=20))
def test_passwords_in_urls_are_starred(password: str) -> None:
    """Whatever characters a password has, none of it is left."""
    secret = f"Q{password}Q"
    shown = star_passwords(f"mysql://user:{secret}@db.example:3306/space")
    assert secret not in shown
    assert shown.startswith(f"mysql://user:{STARS}@")


@pytest.mark.parametrize(
    "text", ["sqlite:////home/a/space.db", "postgresql://host/db", "see http://host:80/x", "a:b@c"]
)
def test_text_without_a_password_is_kept(text: str) -> None:
    """What is no password is not hidden."""
    assert star_passwords(text) == text


def test_skillspace_home_moves_everything(tmp_path: Path) -> None:
    """Config, data, state and cache all lie beneath it."""
    home = find_home({"SKILLSPACE_HOME": str(tmp_path), "HOME": "/elsewhere"})
    assert home.config_file == str(tmp_path / "config.toml")
    for folder in (home.config, home.data, home.state, home.cache):
        assert Path(folder).is_relative_to(tmp_path)
    assert len({home.config, home.data, home.state, home.cache}) == 4


def test_xdg_folders_count_on_linux() -> None:
    """Absolute XDG folders are obeyed, relative ones ignored."""
    variables = {"HOME": "/u", "XDG_DATA_HOME": "/data", "XDG_STATE_HOME": "relative"}
    home = find_home(variables, "linux")
    assert home.config == "/u/.config/skillspace"
    assert home.data == "/data/skillspace"
    assert home.state == "/u/.local/state/skillspace"
    assert home.cache == "/u/.cache/skillspace"


def test_other_systems_have_their_own_places() -> None:
    """Elsewhere platformdirs knows where files go."""
    home = find_home({"HOME": "/u"}, "darwin")
    assert isinstance(home, Home)
    assert all(Path(p).is_absolute() for p in (home.config, home.data, home.state, home.cache))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('language = "zh"', "zh"),
        ("# x\nlanguage='en' # no", "en"),
        ('[chat]\nlanguage = "zh"', ""),
        ("language = zh", ""),
        ("\xff\xfe broken [[[", ""),
        ("", ""),
    ],
)
def test_a_peek_sees_what_toml_would(tmp_path: Path, text: str, found: str) -> None:
    """The quick look at a file agrees with the TOML parser, or sees nothing."""
    (tmp_path / "config.toml").write_text(text, encoding="latin-1")
    environment = {"SKILLSPACE_HOME": str(tmp_path)}
    assert peek_setting(environment, "language") == found
    assert peek_setting({**environment, "SKILLSPACE_LANGUAGE": "en"}, "language") == "en"
