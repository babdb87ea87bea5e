"""`skillspace db`: look after the database, whatever state it is in.

Called by `cli.main`. Never opens the app, whose start would already upgrade the schema.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillspace.cli.commands import JsonOption, YesOption, examples, new_group, streams_of
from skillspace.core.text import t

if TYPE_CHECKING:
    from collections.abc import Callable

    from skillspace.cli.streams import Streams

app = new_group(t("Upgrade, back up, restore and check the database."))


@app.command(
    help=t("Show where the database is, whether it answers and which schema it has."),
    epilog=examples("skillspace db status", "skillspace db status --json"),
)
def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the state of the database."""
    from skillspace.cli.output import show_json, show_record
    from skillspace.cli.run import run_async
    from skillspace.core.db.administration import database_status

    streams = streams_of(context)
    url = _url(streams)
    found = run_async(lambda: database_status(url))
    if as_json:
        return show_json(streams, found)
    states = {
        "current": t("current"),
        "behind": t("older than this version; run: skillspace db upgrade"),
        "ahead": t("newer than this version; upgrade SkillSpace"),
        "empty": t("empty; tables are made at the first start or by: skillspace db upgrade"),
        "foreign": t("not a SkillSpace database"),
    }
    record: dict[str, object] = {
        t("Database"): found.address,
        t("Kind"): found.dialect,
        t("State"): states[found.state],
        t("Schema"): found.revision or t("none"),
        t("Needed"): found.head,
    }
    if found.latency_ms is not None:
        record[t("Answers in")] = f"{found.latency_ms:.1f} ms"
    if found.size_bytes is not None:
        record[t("Size")] = f"{found.size_bytes / 1e6:.1f} MB"
    show_record(streams, record)


@app.command(
    help=t(
        "Bring the database's tables to what this version needs. "
        "An older SQLite file is copied first."
    ),
    epilog=examples("skillspace db upgrade"),
)
def upgrade(context: typer.Context, as_json: JsonOption = False) -> None:
    """Upgrade the schema."""
    from skillspace.cli.output import show_json
    from skillspace.cli.run import run_async
    from skillspace.core.db.administration import upgrade_database

    streams = streams_of(context)
    url = _url(streams)
    done = run_async(lambda: upgrade_database(url))
    if as_json:
        return show_json(streams, done)
    if done.before == done.after:
        streams.say(t("The schema is current ({revision}).", revision=done.after))
        return
    streams.say(t("The schema is now {revision}.", revision=done.after))
    if done.backup:
        streams.say(t("A copy of what was there: {path}", path=done.backup))


@app.command(
    help=t("Copy a SQLite database into a file. It may be in use meanwhile."),
    epilog=examples(
        "skillspace db backup space-backup.db",
        ("skillspace db backup space.db --force", t("Replace the file.")),
    ),
)
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help=t("Where the copy goes."))],
    force: Annotated[
        bool, typer.Option("--force", "-f", help=t("Replace a file that is there."))
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy the database."""
    from skillspace.cli.output import show_json
    from skillspace.cli.run import run_async
    from skillspace.core.db.administration import backup_database

    streams = streams_of(context)
    url = _url(streams)
    with _Progress(streams, t("Copying")) as progress:
        done = run_async(lambda: backup_database(url, file, force=force, progress=progress.tell))
    if as_json:
        return show_json(streams, done)
    size = f"{done.size_bytes / 1e6:.1f} MB"
    streams.say(t("Copied into {path} ({size}) and checked.", path=done.path, size=size))


@app.command(
    help=t(
        "Put a backup in the place of the SQLite database. It is checked first, and what was "
        "there is kept beside it. Nothing else may use the database."
    ),
    epilog=examples("skillspace db restore space-backup.db"),
)
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help=t("A file that `backup` made."))],
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replace the database by a backup."""
    from skillspace.cli.output import confirm, show_json
    from skillspace.cli.run import run_async
    from skillspace.core.db.administration import restore_database

    streams = streams_of(context)
    url = _url(streams)
    question = t("Replace the database by {path}?", path=file)
    if not confirm(streams, question, yes=yes):
        raise typer.Exit(1)
    with _Progress(streams, t("Restoring")) as progress:
        done = run_async(lambda: restore_database(url, file, progress=progress.tell))
    if as_json:
        return show_json(streams, done)
    streams.say(t("{path} is restored.", path=done.path))
    if done.replaced:
        streams.say(t("A copy of what was there: {path}", path=done.replaced))


@app.command(
    help=t(
        "Look for damage, dangling references and tables that differ from what this version "
        "expects. The exit code is 1 when something is wrong."
    ),
    epilog=examples("skillspace db check", "skillspace db check --json"),
)
def check(context: typer.Context, as_json: JsonOption = False) -> None:
    """Check the database."""
    from skillspace.cli.clean import safe_line
    from skillspace.cli.output import show_json
    from skillspace.cli.run import run_async
    from skillspace.core.db.administration import check_database

    streams = streams_of(context)
    url = _url(streams)
    problems = run_async(lambda: check_database(url))
    if as_json:
        show_json(streams, {"is_sound": not problems, "problems": problems})
    elif problems:
        for problem in problems:
            streams.write(f"{safe_line(problem)}\n")
    else:
        streams.say(t("The database is sound."))
    if problems:
        raise typer.Exit(1)


def _url(streams: "Streams") -> str:
    from skillspace.core.settings_sources import load_settings

    return load_settings(streams.environment, streams.flags).settings.database_url


class _Progress:
    """A line on stderr that grows while pages are copied; only a terminal shows it."""

    def __init__(self, streams: "Streams", title: str) -> None:
        self._streams = streams
        self._title = title
        self._is_shown = False
        self.tell: Callable[[int, int], None] | None = None
        if streams.err_is_tty and not streams.quiet:
            self.tell = self._show

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._is_shown:
            self._streams.err.write("\r\x1b[K")
            self._streams.err.flush()

    def _show(self, done: int, total: int) -> None:
        self._is_shown = True
        self._streams.err.write(f"\r{self._title} {100 * done // max(total, 1)} %")
        self._streams.err.flush()
