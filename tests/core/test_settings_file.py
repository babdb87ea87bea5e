"""Changes to config.toml are whole, checked, and keep what a person wrote."""

import os
import stat
from pathlib import Path

import pytest

from skillspace.core.errors import InvalidInput, SettingsError
from skillspace.core.home import Home, find_home
from skillspace.core.settings_file import set_value, unset_value
from skillspace.core.settings_sources import load_settings

WRITTEN = """\
# My settings
language = "zh"  # I read Chinese

[chat]
# calm
temperature = 0.2

[log]
level = "info"
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home in a fresh folder."""
    return find_home({"SKILLSPACE_HOME": str(tmp_path / "space")})


def text_of(home: Home) -> str:
    """Return what is in config.toml."""
    return Path(home.config_file).read_text(encoding="utf-8")


def write(home: Home, text: str) -> Path:
    """Write config.toml and return its path."""
    path = Path(home.config_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_first_setting_makes_the_file(home: Home) -> None:
    """The folder and the file are made, closed to others, and read back."""
    assert set_value(home, "chat.temperature", "0.3") == 0.3
    assert text_of(home) == "[chat]\ntemperature = 0.3\n"
    assert stat.S_IMODE(os.stat(home.config_file).st_mode) == 0o600
    loaded = load_settings({"SKILLSPACE_HOME": home.config})
    assert loaded.settings.chat.temperature == 0.3


def test_comments_and_order_are_kept(home: Home) -> None:
    """Only the value changes."""
    write(home, WRITTEN)
    set_value(home, "chat.temperature", "1")
    assert text_of(home) == WRITTEN.replace("0.2", "1.0")
    set_value(home, "language", "en")
    assert text_of(home) == WRITTEN.replace("0.2", "1.0").replace('"zh"', '"en"')


def test_a_top_level_key_goes_above_the_tables(home: Home) -> None:
    """A new top-level key does not fall into the last table."""
    write(home, '[log]\nlevel = "info"\n')
    set_value(home, "language", "zh")
    loaded = load_settings({"SKILLSPACE_HOME": home.config}).settings
    assert (loaded.language, loaded.log.level) == ("zh", "info")


@pytest.mark.parametrize(
    ("key", "value"), [("chat.temperature", "3"), ("chat.tempo", "1"), ("language", "fr")]
)
def test_a_wrong_value_changes_nothing(home: Home, key: str, value: str) -> None:
    """It is checked before the file is touched."""
    write(home, WRITTEN)
    with pytest.raises(SettingsError):
        set_value(home, key, value)
    assert text_of(home) == WRITTEN


def test_values_that_do_not_fit_together_change_nothing(home: Home) -> None:
    """The file is checked as a whole before it is replaced."""
    with pytest.raises(SettingsError, match="half"):
        set_value(home, "tasks.heartbeat_s", "100")
    assert not Path(home.config_file).exists()


def test_a_secret_is_not_stored_here(home: Home) -> None:
    """The secret key stays out of a file that people show to others."""
    with pytest.raises(InvalidInput, match="secret"):
        set_value(home, "secret_key", "x" * 40)
    assert not Path(home.config_file).exists()


def test_unset_brings_the_default_back(home: Home) -> None:
    """The key goes; a table left empty goes with it; what is not there is no error."""
    write(home, WRITTEN)
    assert unset_value(home, "log.level")
    assert text_of(home) == WRITTEN.partition("\n[log]")[0]
    assert not unset_value(home, "log.level")
    with pytest.raises(SettingsError):
        unset_value(home, "log.levle")


def test_a_wrong_file_can_be_mended(home: Home) -> None:
    """A wrong value can be set right, and an unknown key removed, by the same commands."""
    write(home, "[chat]\ntemperature = 9\n")
    set_value(home, "chat.temperature", "0.9")
    write(home, "[chat]\ntemperature = 0.9\ntempo = 1\n")
    assert unset_value(home, "chat.tempo")
    assert text_of(home) == "[chat]\ntemperature = 0.9\n"


def test_a_broken_file_is_not_touched(home: Home) -> None:
    """What is no TOML is reported with its place."""
    write(home, "[chat\n")
    with pytest.raises(SettingsError, match=":1:6"):
        set_value(home, "language", "zh")
    assert text_of(home) == "[chat\n"


def test_mode_and_link_are_kept(home: Home, tmp_path: Path) -> None:
    """A file kept elsewhere, as dotfiles often are, stays there with its mode."""
    real = tmp_path / "dotfiles.toml"
    real.write_text(WRITTEN)
    real.chmod(0o640)
    Path(home.config).mkdir()
    Path(home.config_file).symlink_to(real)
    set_value(home, "language", "en")
    assert Path(home.config_file).is_symlink()
    assert 'language = "en"' in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dotfiles.toml", "space"]
