"""Where SkillSpace keeps its files on this machine.

Called by the front door (help, completions) and by the settings. Works out paths as strings
with `os` alone, because the front door answers in a few milliseconds; it never makes a folder.
"""

from __future__ import annotations

import os
import sys

# Naming types costs a completion several milliseconds; type checkers know this constant.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE = "SKILLSPACE_HOME"


class Home:
    """The four folders, as absolute paths.

    Args:
        config: Holds `config.toml` and `secrets.toml`.
        data: Holds the database and everything that cannot be made again.
        state: Holds locks, logs and histories.
        cache: Holds what can be made or downloaded again.
    """

    __slots__ = ("cache", "config", "data", "state")

    def __init__(self, config: str, data: str, state: str, cache: str) -> None:
        self.config = config
        self.data = data
        self.state = state
        self.cache = cache

    @property
    def config_file(self) -> str:
        """Path of `config.toml`, whether it exists or not."""
        return os.path.join(self.config, "config.toml")

    @property
    def secrets_file(self) -> str:
        """Path of `secrets.toml`, whether it exists or not."""
        return os.path.join(self.config, "secrets.toml")

    @property
    def database_file(self) -> str:
        """Path of the SQLite database that is used when `database_url` is not set."""
        return os.path.join(self.data, "skillspace.db")


def find_home(environment: Mapping[str, str], platform: str = sys.platform) -> Home:
    """Find the folders.

    Args:
        environment: Usually `os.environ`. SKILLSPACE_HOME moves everything beneath one folder;
            without it the XDG variables and their defaults count on Linux, and the platform's
            own places elsewhere.
        platform: As `sys.platform` names it.
    """
    moved = environment.get(HOME_VARIABLE, "")
    if moved:
        top = os.path.abspath(os.path.expanduser(moved))
        return Home(top, *(os.path.join(top, name) for name in ("data", "state", "cache")))
    if platform == "linux":
        user = environment.get("HOME") or os.path.expanduser("~")
        return Home(
            _xdg(environment, "XDG_CONFIG_HOME", user, ".config"),
            _xdg(environment, "XDG_DATA_HOME", user, ".local/share"),
            _xdg(environment, "XDG_STATE_HOME", user, ".local/state"),
            _xdg(environment, "XDG_CACHE_HOME", user, ".cache"),
        )
    from platformdirs import PlatformDirs

    places = PlatformDirs("skillspace", appauthor=False)
    return Home(
        places.user_config_dir,
        places.user_data_dir,
        places.user_state_dir,
        places.user_cache_dir,
    )


def peek_setting(environment: Mapping[str, str], name: str) -> str:
    """Return a top-level text setting without reading the settings; empty when it is not given.

    *Why* not `load_settings`: its TOML parser and types cost more than a completion may. What
    this does not understand is found and told by `load_settings` later.

    Args:
        environment: Usually `os.environ`; a `SKILLSPACE_*` variable counts before the file.
        name: Such as `language`; no dots.
    """
    given = environment.get(f"SKILLSPACE_{name.upper()}", "")
    if given:
        return given
    try:
        with open(find_home(environment).config_file, encoding="utf-8", errors="replace") as file:
            for line in file:
                bare = line.strip()
                if bare.startswith("["):
                    break
                key, equals, value = bare.partition("=")
                if equals and key.strip() == name:
                    return _toml_text(value.strip())
    except OSError:
        pass
    return ""


def _toml_text(value: str) -> str:
    quote = value[:1]
    return value[1:].partition(quote)[0] if quote in ('"', "'") and quote else ""


def _xdg(environment: Mapping[str, str], variable: str, user: str, default: str) -> str:
    """Return one XDG folder of ours.

    Source: XDG Base Directory Specification 0.8: a relative path in a variable is ignored.
    """
    base = environment.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.join(user, default)
    return os.path.join(base, "skillspace")
