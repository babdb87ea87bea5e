"""`skillspace model`: list, look at, download, remove and choose models.

Called by `cli.main`. Works without a database and never loads a model or a model library.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from skillspace.cli.commands import JsonOption, YesOption, examples, new_group, streams_of
from skillspace.core.text import t

if TYPE_CHECKING:
    from skillspace.cli.streams import Streams
    from skillspace.core.models.choice import ModelEntry
    from skillspace.core.models.progress import DownloadProgress, ProgressCallback
    from skillspace.core.models.store import ModelStore

app = new_group(t("List, download, remove and choose models."))

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help=t("A name from `skillspace model list`, a folder, or auto.")
    ),
]


@app.command(
    "list",
    help=t("List the models on this machine. A star marks the one that answers."),
    epilog=examples("skillspace model list", "skillspace model list --json"),
)
def list_models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the models."""
    from skillspace.cli.output import show_json, show_table

    streams = streams_of(context)
    store = _store(streams)
    entries = store.list_models()
    if as_json:
        show_json(streams, entries)
        return
    rows = [
        (
            "*" if entry.is_default else "",
            entry.name,
            _count(entry.parameters),
            _megabytes(entry.size_bytes),
            entry.context_tokens,
            _source(entry),
        )
        for entry in entries
    ]
    titles = ("", t("Name"), t("Parameters"), t("Size"), t("Context"), t("Source"))
    show_table(streams, titles, rows, right=(2, 3, 4))
    for entry in entries:
        if entry.problem:
            streams.say(f"{entry.name}: {entry.problem}")
    if len(entries) == 1:
        _suggest(streams)


@app.command(
    "show",
    help=t("Show one model: where it is, how big, and what it reads."),
    epilog=examples("skillspace model show auto", "skillspace model show skillspace-tiny --json"),
)
def show_model(
    context: typer.Context, model: ModelArgument = "auto", as_json: JsonOption = False
) -> None:
    """Show one model."""
    from skillspace.cli.output import show_json, show_record

    streams = streams_of(context)
    entry = _store(streams).find(model)
    if as_json:
        show_json(streams, entry)
        return
    record = {
        t("Name"): entry.name,
        t("Path"): entry.path,
        t("Source"): _source(entry),
        t("Answers"): entry.is_default,
        t("Architecture"): entry.architecture,
        t("Parameters"): _count(entry.parameters),
        t("Size"): _megabytes(entry.size_bytes),
        t("Context"): t("{count} tokens", count=entry.context_tokens)
        if entry.context_tokens
        else None,
        t("Problem"): entry.problem or None,
    }
    show_record(streams, {title: value for title, value in record.items() if value is not None})


@app.command(
    "pull",
    help=t("Download a model from Hugging Face. An interrupted download continues."),
    epilog=examples(
        ("skillspace model pull Qwen/Qwen2.5-1.5B-Instruct", t("For a laptop; 3 GB to download.")),
        (
            "skillspace model pull Qwen/Qwen2.5-7B-Instruct",
            t("For a GPU with 8 GB; 15 GB to download."),
        ),
        "HF_ENDPOINT=https://mirror.example skillspace model pull OWNER/NAME",
    ),
)
def pull_model(
    context: typer.Context,
    repo_id: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help=t("Id of the model on the hub."))
    ],
    revision: Annotated[
        str, typer.Option("--revision", metavar="NAME", help=t("Branch, tag or commit."))
    ] = "main",
    as_json: JsonOption = False,
) -> None:
    """Download one model."""
    from skillspace.cli.output import show_json
    from skillspace.cli.run import run_async

    streams = streams_of(context)
    store = _store(streams)
    with _Meter(streams, repo_id) as on_progress:
        entry = run_async(lambda: store.pull(repo_id, revision, on_progress=on_progress))
    if as_json:
        show_json(streams, store.find(entry.name))
        return
    streams.say(t("{name} is here: {path}", name=entry.name, path=entry.path))
    if not store.find(entry.name).is_default:
        streams.say(t("Let it answer: skillspace model use {name}", name=entry.name))


@app.command(
    "remove",
    help=t("Delete a downloaded model from this machine."),
    epilog=examples(
        "skillspace model remove Qwen/Qwen2.5-1.5B-Instruct",
        (
            "skillspace model remove Qwen/Qwen2.5-1.5B-Instruct --dry-run",
            t("Only say what would be freed."),
        ),
    ),
)
def remove_model(
    context: typer.Context,
    model: ModelArgument,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=t("Delete nothing; say what would be freed."))
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete one downloaded model, after asking."""
    from skillspace.cli.output import confirm, show_json

    streams = streams_of(context)
    store = _store(streams)
    entry = store.removable(model)
    size = _megabytes(entry.size_bytes)
    if not dry_run:
        question = t("Delete {name} and free {size}?", name=entry.name, size=size)
        if not confirm(streams, question, yes=yes):
            streams.say(t("Nothing was deleted."))
            raise typer.Exit(1)
        store.remove(entry.name)
    if as_json:
        done = {"name": entry.name, "path": entry.path, "freed_bytes": entry.size_bytes}
        show_json(streams, {**done, "is_removed": not dry_run})
    elif dry_run:
        streams.say(t("{name} would be deleted; {size} freed.", name=entry.name, size=size))
    else:
        streams.say(t("{name} is deleted; {size} freed.", name=entry.name, size=size))


@app.command(
    "use",
    help=t("Choose the model that answers from now on; auto lets SkillSpace choose."),
    epilog=examples(
        "skillspace model use Qwen/Qwen2.5-1.5B-Instruct",
        "skillspace model use ./my-model",
        "skillspace model use auto",
    ),
)
def use_model(context: typer.Context, model: ModelArgument, as_json: JsonOption = False) -> None:
    """Store which model answers."""
    from skillspace.cli.output import show_json
    from skillspace.core.settings import setting_keys

    streams = streams_of(context)
    choice = _store(streams).use(model)
    if as_json:
        show_json(streams, {"name": choice.name, "path": str(choice.path), "why": choice.why})
    else:
        streams.say(t("{name} answers from now on.", name=choice.name))
        if choice.notice:
            streams.say(choice.notice)
    variable = setting_keys()["model.name"].variable
    if streams.environment.get(variable):
        streams.say(t("{name} is set in the environment and wins over the file.", name=variable))


class _Meter:
    """Shows a download: a bar on a terminal, a line per tenth elsewhere, nothing when quiet."""

    def __init__(self, streams: "Streams", name: str) -> None:
        self._streams = streams
        self._name = name
        self._tenth = -1
        self._bar: object = None

    def __enter__(self) -> "ProgressCallback":
        if self._streams.quiet:
            return lambda progress: None
        if not self._streams.err_is_tty:
            return self._say_tenths
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        console = Console(file=self._streams.err, no_color=not self._streams.err_color)
        columns = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), *columns, console=console
        )
        task = bar.add_task(self._name, total=None)
        bar.start()
        self._bar = bar

        def show(progress: "DownloadProgress") -> None:
            bar.update(task, completed=progress.done_bytes, total=progress.total_bytes)

        return show

    def __exit__(self, *_: object) -> None:
        stop = getattr(self._bar, "stop", None)
        if stop is not None:
            stop()

    def _say_tenths(self, progress: "DownloadProgress") -> None:
        tenth = progress.done_bytes * 10 // max(1, progress.total_bytes)
        if tenth > self._tenth:
            self._tenth = tenth
            self._streams.say(
                t(
                    "{name}: {percent} % of {size}",
                    name=self._name,
                    percent=tenth * 10,
                    size=_megabytes(progress.total_bytes),
                )
            )


def _store(streams: "Streams") -> "ModelStore":
    from skillspace.core.models.store import ModelStore
    from skillspace.core.settings_sources import load_settings

    loaded = load_settings(streams.environment, streams.flags)
    return ModelStore(loaded.settings, streams.environment)


def _suggest(streams: "Streams") -> None:
    from skillspace.core.models.choice import SUGGESTED

    streams.say(t("A model for real work: skillspace model pull {name}", name=SUGGESTED))


def _source(entry: "ModelEntry") -> str:
    names = {"bundled": t("bundled"), "hub": t("downloaded"), "folder": t("folder")}
    shown = names[entry.source]
    return f"{shown} ({t('unusable')})" if entry.problem else shown


def _megabytes(size_bytes: int) -> str:
    """Return a size in decimal MB or GB, as disks and hubs count."""
    if size_bytes >= 1_000_000_000:
        return f"{size_bytes / 1e9:.1f} GB"
    return f"{size_bytes / 1e6:.1f} MB"


def _count(parameters: int | None) -> str:
    if parameters is None:
        return ""
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.1f} B"
    return f"{parameters / 1e6:.1f} M"
