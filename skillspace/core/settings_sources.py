"""Settings as read: defaults, `config.toml`, `SKILLSPACE_*` variables, flags; the last wins.

Called once per process by the faces. Refuses an unknown key or a wrong value with the place
it stands at, what is allowed, and the nearest name. Keeps where each value came from. Never
writes a file.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from skillspace.core.errors import SettingsError
from skillspace.core.home import HOME_VARIABLE, Home, find_home
from skillspace.core.settings import (
    Folders,
    Key,
    Settings,
    default_database_url,
    setting_keys,
    starred,
)
from skillspace.core.storage import storage_error
from skillspace.core.text import t

PREFIX: Final = "SKILLSPACE_"
_NO_SETTINGS: Final = (HOME_VARIABLE, "SKILLSPACE_TEST_")
DEFAULT: Final = "default"


class Loaded(NamedTuple):
    """Settings with where they came from.

    Args:
        settings: What is in force.
        sources: For each dotted key: `default`, `/path/config.toml:12`, `SKILLSPACE_…`,
            `secrets.toml` or `flag`.
        home: Where the files are.
    """

    settings: Settings
    sources: dict[str, str]
    home: Home


class Given(NamedTuple):
    """One value that somebody gave.

    Args:
        value: As TOML reads it, or text from a variable or flag.
        source: Its place, for people.
        is_text: Whether it is text that stands for a value of another type.
    """

    value: Any
    source: str
    is_text: bool


def load_settings(environment: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Loaded:
    """Read the settings.

    Args:
        environment: Usually `os.environ`; says where the files are, too.
        flags: By dotted key, from the command line.

    Raises:
        SettingsError: A key is unknown, a value is not allowed, or the file is no TOML.
        StorageUnavailable: The file is there and cannot be read.
    """
    home = find_home(environment)
    given = dict(_from_secrets(home, environment))
    given.update(read_file(Path(home.config_file)))
    given.update(_from_environment(environment))
    for name, value in (flags or {}).items():
        given[_known(name, "flag").name] = Given(value, "flag", is_text=True)
    return _build(home, given)


def read_file(path: Path) -> dict[str, Given]:
    """Read one `config.toml`; nothing when there is none.

    Raises:
        SettingsError: It is no TOML, has an unknown key, or a value that is not allowed.
        StorageUnavailable: It cannot be read.
    """
    return parse_text(path, read_text(path) or "")


def parse_text(path: Path, text: str) -> dict[str, Given]:
    """Read the text of a settings file.

    Args:
        path: Named in messages.
        text: TOML.

    Raises:
        SettingsError: As `read_file`.
    """
    given = {}
    for name, value in _leaves(parse_toml(path, text), ""):
        place = _place(path, text, name)
        key = _known(name, place)
        if key.is_secret:
            raise SettingsError(
                t("{place}: {key} is a secret and does not belong here.", place=place, key=name),
                hint=t("Keep it in secrets.toml beside it, or in {name}.", name=key.variable),
            )
        line = place.rpartition(":")[0]
        given[name] = Given(convert(key, Given(value, place, is_text=False)), line, is_text=False)
    return given


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """Return the tables of a TOML text, unchecked.

    Raises:
        SettingsError: It is no TOML; names line and column.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _broken(path, text, error) from error


def read_text(path: Path) -> str | None:
    """Return the text of a settings file; None when there is none.

    Raises:
        SettingsError: It is not UTF-8.
        StorageUnavailable: It cannot be read.
    """
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SettingsError(
            t("{path} is not UTF-8 text: byte {offset} is wrong.", path=path, offset=error.start),
            hint=t("Save it as UTF-8."),
        ) from error
    except OSError as error:
        raise (storage_error(error, path) or error) from error


def check_file(path: Path) -> int:
    """Check a settings file as if it were in force, and return how many keys it sets.

    Raises:
        SettingsError: As `read_file`, or the file is missing.
    """
    if not path.exists():
        raise SettingsError(t("There is no file {path}.", path=path))
    return check_text(path, read_text(path) or "")


def check_text(path: Path, text: str) -> int:
    """Check the text of a settings file as `check_file` does.

    Raises:
        SettingsError: As `read_file`.
    """
    given = parse_text(path, text)
    _build(find_home({}), given)
    return len(given)


def convert(key: Key, given: Given) -> Any:
    """Return a given value as the setting's type.

    Raises:
        SettingsError: It is not allowed; names the place and what is.
    """
    value = given.value
    if given.is_text and key.base is bool:
        value = _BOOLEANS.get(value.strip().lower(), value)
    elif given.is_text and key.base in (int, float):
        value = value.strip()
    try:
        return msgspec.convert(value, key.type, strict=not given.is_text)
    except msgspec.ValidationError as error:
        shown = starred(key.name, value)
        message = t(
            "{key} is {value}, but must be {allowed}.",
            key=key.name,
            value=shown if given.is_text else msgspec.json.encode(shown).decode(),
            allowed=key.allowed,
        )
        raise SettingsError(
            f"{given.source}: {message}" if given.source else message,
            hint=t("See what each setting means: skillspace config show"),
            key=key.name,
            source=given.source,
        ) from error


_BOOLEANS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def find_key(name: str, place: str = "") -> Key:
    """Return the setting of this dotted key.

    Args:
        name: As somebody wrote it.
        place: Where; empty when it needs no saying.

    Raises:
        SettingsError: There is none; the hint has the nearest.
    """
    return _known(name, place)


def _known(name: str, place: str) -> Key:
    keys = setting_keys()
    if name in keys:
        return keys[name]
    near = get_close_matches(name, keys, n=1, cutoff=0.5)
    below = [key for key in keys if key.startswith(f"{name}.")]
    if below:
        hint = t("{key} is a group; its settings are {names}.", key=name, names=", ".join(below))
    elif near:
        hint = t("Did you mean {name}?", name=near[0])
    else:
        hint = t("The settings are {names}.", names=", ".join(keys))
    message = t("There is no setting {key}.", key=name)
    raise SettingsError(f"{place}: {message}" if place else message, hint=hint, key=name)


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    variables = {key.variable: key for key in setting_keys().values()}
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name.startswith(_NO_SETTINGS):
            continue
        if name not in variables:
            # The prefix they share would make every name look near.
            known = [known.removeprefix(PREFIX) for known in [*variables, HOME_VARIABLE]]
            near = get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=0.5)
            hint = t("Did you mean {name}?", name=PREFIX + near[0]) if near else t("Unset it.")
            raise SettingsError(
                t("The environment has {name}, which is no setting.", name=name),
                hint=hint,
                key=name,
            )
        # An empty variable is how shells and compose files say "not set".
        if environment[name] or variables[name].name == "chat.system":
            yield variables[name].name, Given(environment[name], name, is_text=True)


def _from_secrets(home: Home, environment: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    if environment.get("SKILLSPACE_SECRET_KEY"):
        return
    from skillspace.core.secret_file import read_secret

    secret = read_secret(Path(home.secrets_file))
    if secret:
        yield "secret_key", Given(secret, home.secrets_file, is_text=False)


def _build(home: Home, given: Mapping[str, Given]) -> Loaded:
    """Put values into the tree and check those that depend on each other."""
    tree: dict[str, Any] = {"folders": Folders.of(home), "database_url": default_database_url(home)}
    sources = {}
    for name, key in setting_keys().items():
        sources[name] = DEFAULT
        if name in given:
            sources[name] = given[name].source
            *groups, leaf = name.split(".")
            branch = tree
            for group in groups:
                branch = branch.setdefault(group, {})
            branch[leaf] = convert(key, given[name])
    settings = msgspec.convert(tree, Settings)
    tasks = settings.tasks
    if tasks.heartbeat_s > tasks.lease_s / 2:
        raise SettingsError(
            t(
                "{place}: tasks.heartbeat_s is {beat}, but must be at most half of "
                "tasks.lease_s, which is {lease}.",
                place=next(
                    (sources[k] for k in ("tasks.heartbeat_s", "tasks.lease_s") if k in given), ""
                ),
                beat=tasks.heartbeat_s,
                lease=tasks.lease_s,
            ),
            hint=t("Else a busy worker would be taken for a dead one."),
        )
    return Loaded(settings, sources, home)


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        dotted = f"{prefix}{name}"
        if isinstance(value, dict) and dotted not in setting_keys():
            if not value and not any(key.startswith(f"{dotted}.") for key in setting_keys()):
                yield dotted, value
            yield from _leaves(value, f"{dotted}.")
        else:
            yield dotted, value


def _place(path: Path, text: str, name: str) -> str:
    """Return file:line:column of a dotted key; line 1 when it cannot be found."""
    line, column = locate(text, name) or (1, 1)
    return f"{path}:{line}:{column}"


def locate(text: str, name: str) -> tuple[int, int] | None:
    """Find a dotted key in TOML text.

    Returns:
        Line and column from 1; of the nearest table above it if the key itself is written in
        a way that is not recognised (inline tables); None if that is not found either.
    """
    table, best = "", None
    quote = ""
    for number, line in enumerate(text.splitlines(), 1):
        if quote:
            # Inside a text of several lines nothing is a key.
            quote = "" if quote in line else quote
            continue
        header = _HEADER.match(line)
        if header:
            table = _plain_name(header[1])
            if name == table or name.startswith(f"{table}."):
                best = (number, header.start(1) + 1)
            continue
        found = _KEY.match(line)
        if found:
            dotted = ".".join(filter(None, [table, _plain_name(found[1])]))
            if dotted == name:
                return number, found.start(1) + 1
            if name.startswith(f"{dotted}."):
                best = (number, found.start(1) + 1)
            opened = _MULTILINE.match(line[found.end() :])
            if opened and opened[1] not in line[found.end() + opened.end() :]:
                quote = opened[1]
    return best


_NAME: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_HEADER: Final = re.compile(rf"\s*\[\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]")
_KEY: Final = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_MULTILINE: Final = re.compile(r"""\s*(\"{3}|'{3})""")


def _plain_name(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def _broken(path: Path, text: str, error: tomllib.TOMLDecodeError) -> SettingsError:
    """Say where a file stops being TOML."""
    message = str(error)
    found = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)", message)
    lines = text.splitlines() or [""]
    line, column = str(len(lines)), str(len(lines[-1]) + 1)
    if found:
        message = message[: found.start()]
        line, column = found[1] or line, found[2] or column
    return SettingsError(
        t(
            "{path}:{line}:{column}: {problem}.",
            path=path,
            line=line,
            column=column,
            problem=message,
        ),
        hint=t("Mend that line; texts stand in quotes, tables in [brackets]."),
        path=str(path),
        line=int(line),
        column=int(column),
    )
