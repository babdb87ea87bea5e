"""What `skillspace doctor` looks at: each check says ok, warn or fail, and what to do.

Called by `cli.doctor`. A check never raises and never changes anything but a temporary file;
it loads no model library. Checks do not depend on each other, so that one broken part does not
hide another.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from typing import Final, Literal

from skillspace.cli.streams import Streams
from skillspace.core.errors import SkillSpaceError
from skillspace.core.home import Home, find_home
from skillspace.core.settings import Settings
from skillspace.core.storage import storage_error, writing
from skillspace.core.text import current_language, t
from skillspace.core.values import Value

State = Literal["ok", "warn", "fail"]
OLDEST_PYTHON: Final[tuple[int, ...]] = (3, 11)
_MIB: Final = 1024 * 1024
_LITTLE_MIB: Final = 100
_MODEST_MIB: Final = 1024
_EXTRAS: Final = {
    "local": ("torch", "transformers", "safetensors"),
    "cuda": ("bitsandbytes",),
    "postgres": ("asyncpg",),
    "mysql": ("aiomysql",),
}
_NEEDED_BY_URL: Final = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}


class Check(Value, frozen=True, kw_only=True):
    """What one check found.

    Args:
        name: Stable, for programs.
        state: ok, warn (it works, but) or fail (something will not work).
        found: One line.
        remedy: What to do; empty when there is nothing to do.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


def check_everything(streams: Streams) -> list[Check]:
    """Run every check, in the order in which a person would mend things."""
    home = find_home(streams.environment)
    settings, found = check_settings(streams)
    checks = [check_python(), found, _guard("secrets", lambda: check_secrets(home))]
    folders = {"config": home.config, "data": home.data, "state": home.state, "cache": home.cache}
    for name, path in folders.items():
        checks.append(_guard(f"folder {name}", partial(check_folder, name, path)))
    checks.append(_guard("disk", lambda: check_disk(home)))
    checks.append(_guard("sqlite", check_sqlite))
    if settings is not None:
        checks.append(_guard("database", lambda: check_database(settings)))
        checks += check_extras(settings)
        checks.append(_guard("model", lambda: check_model(settings)))
    checks.append(check_terminal(streams))
    return [*checks, _guard("font", lambda: check_font(streams.environment))]


def _guard(name: str, check: Callable[[], Check]) -> Check:
    """Run one check; whatever it raises is what it found."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001  # a doctor that dies of the illness is of no use
        return _of_error(name, error)


def _of_error(name: str, error: Exception) -> Check:
    known = storage_error(error)
    if isinstance(error, SkillSpaceError) or known is None:
        hint = getattr(error, "hint", "")
        found = str(error) if isinstance(error, SkillSpaceError) else repr(error)
        return Check(name=name, state="fail", found=found, remedy=hint)
    return Check(name=name, state="fail", found=known.message, remedy=known.hint)


def check_python() -> Check:
    """Python is one that SkillSpace is made for."""
    found = f"{sys.version.split()[0]} ({sys.executable})"
    if tuple(sys.version_info) >= OLDEST_PYTHON:
        return Check(name="python", state="ok", found=found)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    remedy = t("Install Python {version} or newer.", version=oldest)
    return Check(name="python", state="fail", found=found, remedy=remedy)


def check_settings(streams: Streams) -> tuple[Settings | None, Check]:
    """The settings can be read; without them the parts they choose are not checked."""
    from skillspace.core.settings_sources import DEFAULT, load_settings

    try:
        loaded = load_settings(streams.environment, streams.flags)
    except Exception as error:  # noqa: BLE001  # as in _guard
        return None, _of_error("settings", error)
    count = sum(source != DEFAULT for source in loaded.sources.values())
    found = t("{path}; {count} not at their default", path=loaded.home.config_file, count=count)
    return loaded.settings, Check(name="settings", state="ok", found=found)


def check_secrets(home: Home) -> Check:
    """The secret key is there, long enough, and closed to others."""
    from pathlib import Path

    from skillspace.core.secret_file import read_secret

    secret = read_secret(Path(home.secrets_file))
    found = home.secrets_file if secret else t("none yet; made at first start")
    return Check(name="secrets", state="ok", found=found)


def check_folder(name: str, path: str) -> Check:
    """A folder can be written, or made where it is missing."""
    import tempfile

    place = _nearest_existing(path)
    with writing(place), tempfile.TemporaryFile(dir=place):
        pass
    found = path if place == path else t("{path} (not made yet)", path=path)
    return Check(name=f"folder {name}", state="ok", found=found)


def _nearest_existing(path: str) -> str:
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def check_disk(home: Home) -> Check:
    """There is room for the database to grow."""
    free_mib = shutil.disk_usage(_nearest_existing(home.data)).free // _MIB
    found = t("{free} MiB free for {path}", free=free_mib, path=home.data)
    remedy = t("Free some space, or move everything with SKILLSPACE_HOME=/another/folder.")
    if free_mib < _LITTLE_MIB:
        return Check(name="disk", state="fail", found=found, remedy=remedy)
    if free_mib < _MODEST_MIB:
        return Check(name="disk", state="warn", found=found, remedy=remedy)
    return Check(name="disk", state="ok", found=found)


def check_sqlite() -> Check:
    """SQLite is without the fault that can damage a file which several processes write."""
    from skillspace.core.db.glance import has_wal_reset_fault, sqlite_version

    version = sqlite_version()
    found = ".".join(map(str, version))
    if not has_wal_reset_fault(version):
        return Check(name="sqlite", state="ok", found=found)
    return Check(
        name="sqlite",
        state="warn",
        found=t("{version} has a rare fault that can damage a busy database", version=found),
        remedy=t(
            "Use a Python with SQLite 3.51.3, 3.50.7 or 3.44.6 or newer of their lines, "
            "and make backups: skillspace db backup"
        ),
    )


def check_database(settings: Settings) -> Check:
    """The database answers, and its tables are those of this version."""
    from skillspace.cli.run import run_async
    from skillspace.core.db.administration import database_status

    status = run_async(lambda: database_status(settings.database_url, refuse=True))
    if not status.exists:
        return Check(name="database", state="ok", found=t("none yet; made at first start"))
    found = t(
        "{where}: answers in {ms} ms, schema {revision}",
        where=status.address,
        ms=f"{status.latency_ms or 0:.1f}",
        revision=status.revision or t("none"),
    )
    if status.state == "current":
        return Check(name="database", state="ok", found=found)
    remedy = t("Bring its tables up to date: skillspace db upgrade")
    return Check(name="database", state="warn", found=found, remedy=remedy)


def check_extras(settings: Settings) -> list[Check]:
    """The optional packages that these settings need are installed."""
    needed = {"local", _NEEDED_BY_URL.get(settings.database_url.partition(":")[0], "local")}
    return [_check_extra(extra, names, extra in needed) for extra, names in _EXTRAS.items()]


def _check_extra(extra: str, names: tuple[str, ...], is_needed: bool) -> Check:
    versions, missing = [], []
    for name in names:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if not missing:
        return Check(name=f"extra {extra}", state="ok", found=", ".join(versions))
    found = t("not installed: {names}", names=", ".join(missing))
    if not is_needed:
        return Check(name=f"extra {extra}", state="ok", found=f"{found} ({t('not needed')})")
    return Check(
        name=f"extra {extra}",
        state="fail",
        found=found,
        remedy=t("Install it: {command}", command=f"pip install 'skillspace[{extra}]'"),
    )


def check_model(settings: Settings) -> Check:
    """The model that would answer is there."""
    from skillspace.core.models.store import ModelStore

    store = ModelStore(settings)
    choice = store.resolve(settings.model.name)
    entry = store.find(choice.name)
    if entry.problem:
        remedy = t("See what there is: skillspace model list")
        return Check(name="model", state="fail", found=entry.problem, remedy=remedy)
    return Check(name="model", state="ok", found=f"{choice.name}: {choice.why}")


def check_terminal(streams: Streams) -> Check:
    """Text of every script can be shown."""
    encoding = (getattr(streams.out, "encoding", None) or "utf-8").lower()
    found = t(
        "{kind}, {encoding}, {width} columns, language {language}",
        kind=(t("colour") if streams.color else t("no colour")),
        encoding=encoding,
        width=streams.width,
        language=current_language(),
    )
    if encoding.replace("-", "").replace("_", "") == "utf8":
        return Check(name="terminal", state="ok", found=found)
    remedy = t("Use a UTF-8 locale, for example: export LANG=C.UTF-8")
    return Check(name="terminal", state="warn", found=found, remedy=remedy)


def check_font(
    environment: Mapping[str, str], which: Callable[[str], str | None] = shutil.which
) -> Check:
    """A Chinese font is installed, as far as this machine can say; for rendered pages."""
    import subprocess

    program = which("fc-list")
    if program is None:
        return Check(name="font", state="ok", found=t("unknown (there is no fc-list)"))
    done = subprocess.run(  # noqa: S603  # a fixed program, found on the user's own PATH
        [program, ":lang=zh", "family"],
        capture_output=True,
        text=True,
        env=dict(environment),
        check=False,
    )
    families = done.stdout.strip().splitlines()
    if families:
        return Check(name="font", state="ok", found=families[0].split(",")[0])
    return Check(
        name="font",
        state="warn",
        found=t("no Chinese font is installed here"),
        remedy=t("Install one, for example the package fonts-noto-cjk."),
    )
