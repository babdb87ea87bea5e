"""Every setting there is: one frozen tree, each value with its range, unit and meaning.

A new setting is one field here. `settings_sources` reads values into it from defaults, file,
environment and flags; `settings_file` writes the file. Reads and writes nothing itself.
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta, field

from skillspace.core.home import Home
from skillspace.core.text import t
from skillspace.core.values import Value

STARS: Final = "********"
SECRET_KEYS: Final = frozenset({"secret_key"})
SECRET_KEY_MIN_CHARS: Final = 32
# Greedy up to the last @: a password with a bare @ or / in it is hidden whole.
_URL_PASSWORD: Final = re.compile(
    r"(\b[a-z][a-z0-9+.-]*://[^/@\s:]*:)\S*(?=@)|([?&](?:password|passwd|secret|token)=)[^&\s]*",
    re.IGNORECASE,
)


def _about(description: str, unit: str = "", **limits: Any) -> Meta:
    return Meta(description=description, extra={"unit": unit}, **limits)


class ModelSettings(Value, frozen=True, kw_only=True):
    """Which model answers, and with how much of the machine."""

    name: Annotated[
        str,
        _about(
            "Model that answers: `auto`, `skillspace-tiny`, a hub id such as "
            "`Qwen/Qwen2.5-7B-Instruct`, or a folder.",
            min_length=1,
        ),
    ] = "auto"
    threads: Annotated[
        int,
        _about("CPU threads of the model; 0 lets the machine decide.", ge=0, le=1024),
    ] = 0


class ChatSettings(Value, frozen=True, kw_only=True):
    """How answers are drawn, unless a call says otherwise."""

    temperature: Annotated[
        float,
        _about("How freely words are chosen; 0 always takes the likeliest.", ge=0, le=2),
    ] = 0.7
    top_p: Annotated[
        float,
        _about("Choose among the likeliest words with this much probability.", gt=0, le=1),
    ] = 0.8
    top_k: Annotated[
        int, _about("Choose among this many words; 0 means all.", ge=0, le=1_000_000)
    ] = 20
    max_tokens: Annotated[
        int,
        _about("Longest answer; 0 lets the model's context decide.", "tokens", ge=0, le=1_000_000),
    ] = 0
    system: Annotated[
        str, _about("Instruction that every new conversation begins with.", max_length=20_000)
    ] = ""
    show_thinking: Annotated[bool, _about("Show what the model thinks before it answers.")] = False


class TaskSettings(Value, frozen=True, kw_only=True):
    """How background work is run and watched."""

    lease_s: Annotated[
        float,
        _about("A worker on another host that is silent this long is dead.", "s", ge=1, le=3600),
    ] = 15.0
    heartbeat_s: Annotated[
        float,
        _about("How often a worker renews its lease; at most half of it.", "s", ge=0.1, le=1800),
    ] = 3.0
    log_ttl_s: Annotated[
        float,
        _about("How long a finished task can be replayed.", "s", ge=60, le=31_536_000),
    ] = 604_800.0
    concurrency: Annotated[int, _about("Tasks that one process runs at once.", ge=1, le=1024)] = 4


class LogSettings(Value, frozen=True, kw_only=True):
    """What is written to the log."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], _about("Least severe line that is kept.")
    ] = "warning"


class Folders(Value, frozen=True, kw_only=True):
    """Where files are kept; worked out from the environment, never set by key.

    Args:
        config: Holds `config.toml` and `secrets.toml`.
        data: Holds the database and what cannot be made again.
        state: Holds locks, logs and histories.
        cache: Holds what can be made or downloaded again.
    """

    config: Path
    data: Path
    state: Path
    cache: Path

    @classmethod
    def of(cls, home: Home) -> "Folders":
        """Return the folders of a home."""
        return cls(
            config=Path(home.config),
            data=Path(home.data),
            state=Path(home.state),
            cache=Path(home.cache),
        )


class Settings(Value, frozen=True, kw_only=True):
    """The settings of one process, read once.

    Args:
        folders: Where files are kept.
        language, database_url, model, chat, tasks, log: See each field's description.
        secret_key: From SKILLSPACE_SECRET_KEY or `secrets.toml`; empty before the first start.
    """

    folders: Folders
    language: Annotated[
        Literal["auto", "en", "zh"],
        _about("Language of messages and help; `auto` follows the locale."),
    ] = "auto"
    database_url: Annotated[
        str,
        _about(
            "Where everything is stored: `sqlite:///path`, `postgresql://user:password@host/name` "
            "or `mysql://user:password@host/name` (also `mariadb://`).",
            pattern=r"^(sqlite|postgresql|mysql|mariadb)://",
        ),
    ] = ""
    secret_key: Annotated[
        str,
        _about(
            "Signs sessions and links; generated at first start and kept in `secrets.toml`.",
            min_length=SECRET_KEY_MIN_CHARS,
        ),
    ] = ""
    model: ModelSettings = field(default_factory=ModelSettings)
    chat: ChatSettings = field(default_factory=ChatSettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    log: LogSettings = field(default_factory=LogSettings)

    def __repr__(self) -> str:
        """Show every setting, secrets as stars."""
        shown = ", ".join(f"{key}={shown_value(key, self)!r}" for key in setting_keys())
        return f"Settings({shown})"

    __str__ = __repr__

    def with_secrets(self) -> "Settings":
        """Return settings that have a secret key, made and stored if there was none.

        Raises:
            SettingsError: The file with the key can be read by others, or is broken.
            StorageUnavailable: It cannot be written.
        """
        if self.secret_key:
            return self
        from skillspace.core.secret_file import read_or_create_secret

        secret = read_or_create_secret(self.folders.config / "secrets.toml")
        return msgspec.structs.replace(self, secret_key=secret)


class Key(NamedTuple):
    """One setting, described.

    Args:
        name: Dotted, such as `chat.temperature`.
        type: With its limits, as msgspec converts to it.
        default: In force when nobody says otherwise; None when it is worked out at start.
        description: One sentence or more, English Markdown.
        unit: s, tokens …; empty for none.
    """

    name: str
    type: Any
    default: Any
    description: str
    unit: str

    @property
    def variable(self) -> str:
        """Name of its environment variable."""
        return "SKILLSPACE_" + self.name.upper().replace(".", "_")

    @property
    def is_secret(self) -> bool:
        """Whether its value is never shown."""
        return self.name in SECRET_KEYS

    @property
    def base(self) -> Any:
        """The type without its limits."""
        return get_args(self.type)[0]

    @property
    def choices(self) -> tuple[str, ...]:
        """The values it may have; empty when they cannot be listed."""
        if self.base is bool:
            return ("true", "false")
        return get_args(self.base) if get_origin(self.base) is Literal else ()

    @property
    def allowed(self) -> str:
        """What a value may be, in words, in the reader's language."""
        meta: Meta = get_args(self.type)[1]
        if self.choices:
            return t("one of {names}", names=", ".join(self.choices))
        if self.base in (int, float):
            limits = {"low": meta.ge if meta.ge is not None else meta.gt, "high": meta.le}
            if self.base is int:
                return t("a whole number from {low} to {high}", **limits)
            if meta.ge is None:
                return t("a number above {low} and up to {high}", **limits)
            return t("a number from {low} to {high}", **limits)
        if meta.pattern:
            schemes = meta.pattern[meta.pattern.index("(") + 1 : meta.pattern.index(")")]
            urls = ", ".join(f"{scheme}://" for scheme in schemes.split("|"))
            return t("a URL that begins with one of {urls}", urls=urls)
        if meta.min_length and meta.min_length > 1:
            return t("a text of {count} characters or more", count=meta.min_length)
        return t("a text that is not empty") if meta.min_length else t("a text")


@cache
def setting_keys() -> dict[str, Key]:
    """Return every setting by its dotted key, in the order of the tree."""
    return {key.name: key for key in _keys_of(Settings, "")}


def _keys_of(struct: type[msgspec.Struct], prefix: str) -> Iterator[Key]:
    for item in msgspec.structs.fields(struct):
        if item.type is Folders:
            continue
        if isinstance(item.type, type) and issubclass(item.type, msgspec.Struct):
            yield from _keys_of(item.type, f"{item.name}.")
            continue
        meta = get_args(item.type)[1]
        default = item.default if item.default != "" or item.name == "system" else None
        yield Key(
            name=prefix + item.name,
            type=item.type,
            default=default,
            description=meta.description,
            unit=meta.extra["unit"],
        )


def get_value(settings: Settings, key: str) -> Any:
    """Return the value of a dotted key, secrets included."""
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def shown_value(key: str, settings: Settings) -> Any:
    """Return the value of a dotted key as it may be shown: secrets are stars."""
    return starred(key, get_value(settings, key))


def starred(key: str, value: Any) -> Any:
    """Return a value as it may be shown: a secret, or the password in a URL, is stars."""
    if key in SECRET_KEYS:
        return STARS if value else ""
    return star_passwords(value) if isinstance(value, str) else value


def star_passwords(text: str) -> str:
    """Replace the password of every URL in a text by stars."""
    return _URL_PASSWORD.sub(lambda found: (found[1] or found[2]) + STARS, text)


def default_database_url(home: Home) -> str:
    """Return the URL of the embedded database."""
    return f"sqlite:///{home.database_file}".replace(os.sep, "/")
