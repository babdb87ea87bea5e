"""The secret key is made once and belongs to its owner."""

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from skillspace.core.errors import SettingsError
from skillspace.core.secret_file import read_or_create_secret, read_secret
from skillspace.core.settings_sources import load_settings


def test_it_is_made_once(tmp_path: Path) -> None:
    """The first call makes it, later calls return it, and no other file is left."""
    path = tmp_path / "space" / "secrets.toml"
    assert read_secret(path) == ""
    secret = read_or_create_secret(path)
    assert len(secret) >= 32
    assert read_or_create_secret(path) == read_secret(path) == secret
    assert [p.name for p in path.parent.iterdir()] == ["secrets.toml"]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_its_mode_does_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    """Whatever the umask, only the owner reads it."""
    path = tmp_path / "secrets.toml"
    before = os.umask(umask)
    try:
        read_or_create_secret(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_two_processes_get_the_same(tmp_path: Path) -> None:
    """Processes that start at once agree on one secret."""
    path = tmp_path / "secrets.toml"
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    with context.Pool(4) as pool:
        found = pool.map(read_or_create_secret, [path] * 16)
    assert len(set(found)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_an_open_file_is_refused(tmp_path: Path, mode: int) -> None:
    """A secret that others can read is no secret; the remedy is a command."""
    path = tmp_path / "secrets.toml"
    secret = read_or_create_secret(path)
    path.chmod(mode)
    with pytest.raises(SettingsError) as caught:
        read_secret(path)
    assert caught.value.hint == f"Close it: chmod 600 {path}"
    assert secret not in f"{caught.value!r} {caught.value.evidence}"


@pytest.mark.parametrize("text", ["", "secret_key = 3", "[[[", 'secret_key = "short"', "\xff"])
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with it, nothing is made up in its place."""
    path = tmp_path / "secrets.toml"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=r"secrets\.toml"):
        read_or_create_secret(path)
    assert path.read_text(encoding="latin-1") == text


def test_settings_make_it_at_first_start(tmp_path: Path) -> None:
    """Reading settings makes nothing; starting does; a variable makes it unnecessary."""
    environment = {"SKILLSPACE_HOME": str(tmp_path)}
    settings = load_settings(environment).settings
    assert settings.secret_key == ""
    assert list(tmp_path.iterdir()) == []
    started = settings.with_secrets()
    assert load_settings(environment).settings.secret_key == started.secret_key
    (tmp_path / "secrets.toml").unlink()
    given = load_settings({**environment, "SKILLSPACE_SECRET_KEY": "k" * 40}).settings
    assert given.with_secrets().secret_key == "k" * 40
    assert list(tmp_path.iterdir()) == []
