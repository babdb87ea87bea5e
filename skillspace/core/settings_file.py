"""Changes to `config.toml`: one key at a time, comments kept, whole or not at all.

Called by `skillspace config set` and `unset`, and by whatever stores a choice of the user.
Validates before it writes; never writes a secret.
"""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table

from skillspace.core.errors import InvalidInput
from skillspace.core.home import Home
from skillspace.core.settings import Key
from skillspace.core.settings_sources import (
    Given,
    check_text,
    convert,
    find_key,
    parse_toml,
    read_text,
)
from skillspace.core.storage import writing
from skillspace.core.text import t


def set_value(home: Home, name: str, text: str) -> Any:
    """Store one setting and return it as it will be read.

    Args:
        home: Its `config.toml` is made if there is none.
        name: Dotted key.
        text: The value as written on a command line.

    Raises:
        SettingsError: The key is unknown, the value is not allowed, or the file is broken.
        InvalidInput: The key is a secret.
        StorageUnavailable: The file cannot be written.
    """
    key = _settable(name)
    value = convert(key, Given(text, "", is_text=True))
    path = Path(home.config_file)
    document = _parse(path)
    *groups, leaf = name.split(".")
    table: Any = document
    for group in groups:
        if group not in table:
            table[group] = tomlkit.table()
        table = table[group]
    table[leaf] = value
    _store(path, tomlkit.dumps(document))
    return value


def unset_value(home: Home, name: str) -> bool:
    """Remove one setting from the file, so that its default counts; False if it was not there.

    Raises:
        SettingsError: The key is neither known nor in the file, or the file is broken.
        InvalidInput: The key is a secret.
        StorageUnavailable: The file cannot be written.
    """
    path = Path(home.config_file)
    document = _parse(path)
    *groups, leaf = name.split(".")
    table: Any = document
    for group in groups:
        table = table.get(group, {})
    if leaf not in table:
        _settable(name)
        return False
    del table[leaf]
    if groups and isinstance(table, Table) and not table.as_string().strip():
        del document[groups[0]]
    _store(path, tomlkit.dumps(document).rstrip("\n") + "\n")
    return True


def _settable(name: str) -> Key:
    key = find_key(name)
    if key.is_secret:
        raise InvalidInput(
            t("{key} is a secret and is not kept in config.toml.", key=name),
            hint=t("Set {name} in the environment, or edit secrets.toml.", name=key.variable),
        )
    return key


def _parse(path: Path) -> tomlkit.TOMLDocument:
    text = read_text(path) or ""
    # Only its form is checked here, so that a wrong value in it can be set right.
    parse_toml(path, text)
    return tomlkit.parse(text)


def _store(path: Path, text: str) -> None:
    """Replace a file by a rename, under its old mode; a link stays a link."""
    check_text(path, text)
    path = Path(os.path.realpath(path))
    with writing(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(prefix=".config-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(made, path.stat().st_mode & 0o777 if path.exists() else 0o600)
            os.replace(made, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(made)
