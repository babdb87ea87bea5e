"""A glance at the database for completions: ids and titles, newest first.

Called by `cli.complete` on every press of TAB, so it opens the SQLite file read-only and
without SQLAlchemy. Silent on any failure: a completion that finds nothing says nothing.
"""

from __future__ import annotations

import os

from skillspace.core.home import find_home, peek_setting

# Naming types costs a completion several milliseconds; type checkers know this constant.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 200
# A writer that holds the file this long may keep it; the person pressing TAB will not wait.
_WAIT_S = 0.05
_QUERIES = {
    "SESSION": "SELECT id, title FROM chat_sessions ORDER BY updated_at DESC",
    "TASK": "SELECT id, kind || ' ' || state FROM tasks ORDER BY created_at DESC",
    "RESUME": "SELECT id, title FROM resumes ORDER BY updated_at DESC",
}


def glance(kind: str, environment: Mapping[str, str], prefix: str = "") -> list[tuple[str, str]]:
    """Return values of a kind with what they are.

    Args:
        kind: SESSION, TASK, RESUME or MODEL; nothing is found for another.
        environment: Usually `os.environ`.
        prefix: What the values begin with.

    Returns:
        At most `LIMIT` pairs of value and description; empty on any failure.
    """
    if kind == "MODEL":
        return [pair for pair in _models(environment) if pair[0].startswith(prefix)]
    path = _database_file(environment)
    if kind not in _QUERIES or not path or not os.path.isfile(path):
        return []
    import sqlite3

    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    query = f"SELECT * FROM ({_QUERIES[kind]}) WHERE id GLOB ? LIMIT {LIMIT}"  # noqa: S608  # constants only
    pattern = "".join(f"[{c}]" if c in "*?[" else c for c in prefix) + "*"
    try:
        connection = sqlite3.connect(f"file:{quoted}?mode=ro", uri=True, timeout=_WAIT_S)
        try:
            rows = connection.execute(query, (pattern,)).fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return []
    return [(str(value), str(about or "")) for value, about in rows]


def _database_file(environment: Mapping[str, str]) -> str:
    """Return the path of the SQLite database; empty when another database is used."""
    url = peek_setting(environment, "database_url")
    if not url:
        return find_home(environment).database_file
    if not url.startswith("sqlite:///"):
        return ""
    return os.path.abspath(os.path.expanduser(url.removeprefix("sqlite:///")))


def _models(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the bundled model and those in the Hugging Face cache.

    Source: huggingface_hub's cache layout: one folder `models--owner--name` per repository.
    """
    user = environment.get("HOME") or os.path.expanduser("~")
    top = environment.get("HF_HOME") or os.path.join(
        environment.get("XDG_CACHE_HOME") or os.path.join(user, ".cache"), "huggingface"
    )
    folder = environment.get("HF_HUB_CACHE") or os.path.join(top, "hub")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        names = []
    found = [
        (name.removeprefix("models--").replace("--", "/"), "")
        for name in names
        if name.startswith("models--")
    ]
    return [("auto", ""), ("skillspace-tiny", ""), *found[:LIMIT]]


def sqlite_version() -> tuple[int, int, int]:
    """Return the version of the SQLite library that this Python is linked with."""
    import sqlite3

    return sqlite3.sqlite_version_info


def has_wal_reset_fault(version: tuple[int, int, int]) -> bool:
    """Say whether two connections may, rarely, damage a file in WAL mode.

    Source: sqlite.org/wal.html#walresetbug: mended in 3.51.3, and in 3.50.7 and 3.44.6.
    """
    mended = (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)
    return version < (3, 51, 3) and not mended
