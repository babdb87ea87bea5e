"""Every command's name, and how a command line finds its module.

Called by the front door when an answer needs more than constants. Imports one command module
per call: the one that is named. Never holds a command's logic.

How to add a command
====================
1. Write `skillspace/cli/<noun>.py`, see `cli/config.py`:

    app = new_group(t("List and choose models."))

    @app.command("list", help=t("List the models on this machine."),
                 epilog=examples("skillspace model list --json"))
    def list_models(context: typer.Context, as_json: JsonOption = False) -> None:
        streams = streams_of(context)

        async def work(space: SkillSpace) -> None:
            models = space.models.list_models()
            if as_json:
                return show_json(streams, models)
            show_table(streams, [t("Name")], [[m.name] for m in models], empty=t("No model."))

        run_app(streams, work)

2. Give it a row in TABLE. A module with one command and `is_single=True` is that command
   itself (`skillspace chat`), else its commands come after its name (`skillspace model list`).
3. Run `scripts/generate`, which renews the static help and the completions.

At the top of such a module import only typer, `skillspace.cli.*` and core modules that load
neither SQLAlchemy nor a model; import the rest inside the function. Texts go through `t`: a
module is imported after the language is known, so help texts are in the reader's language.
Errors are raised, never printed: `cli.run` turns a SkillSpaceError into one line, its hint and
an exit code. A command that ends with a code of its own raises `typer.Exit(code)`.
Options and arguments take their completion from `metavar`: SESSION, TASK, MODEL, RESUME, KEY,
FILE and FOLDER are completed with what exists.
"""

import gc
import importlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer import _click
from typer.core import TyperGroup
from typer.main import get_group

from skillspace.cli.commands import Group, LazyGroup, build_command, examples, streams_of
from skillspace.cli.helptext import render_group
from skillspace.cli.language import early_language, lang_flag
from skillspace.cli.run import run_command
from skillspace.cli.streams import Streams
from skillspace.core.text import set_language, t


class Entry(NamedTuple):
    """One row of TABLE.

    Args:
        name: On the command line.
        section: Title it stands under in `skillspace --help`; English, translated when shown.
        summary: What it does, one line; English, translated when shown.
        module: Below `skillspace.cli`.
        is_single: The module's one command is the command itself.
    """

    name: str
    section: str
    summary: str
    module: str
    is_single: bool = False


TABLE: Final = (
    Entry("chat", "Work", "Talk with the assistant, or ask it one thing", "chat", True),
    Entry("session", "Work", "List, search, export and delete conversations", "session"),
    Entry("resume", "Work", "List and show resumes", "resume"),
    Entry("task", "Work", "List, watch, cancel and retry background work", "task"),
    Entry(
        "demo", "Get started", "Fill a space with sample people and resumes to try", "demo", True
    ),
    Entry("doctor", "Get started", "Check this installation and say what to do", "doctor", True),
    Entry(
        "completion", "Get started", "Print or install completion for a shell", "completion", True
    ),
    Entry("model", "Maintain", "List, download, remove and choose models", "model"),
    Entry("config", "Maintain", "Show and change settings", "config"),
    Entry("db", "Maintain", "Upgrade, back up, restore and check the database", "db"),
)


class Root(LazyGroup):
    """`skillspace` itself: its commands come from TABLE, their modules are imported when named."""

    def list_commands(self, ctx: _click.Context) -> list[str]:
        """Return every name in TABLE."""
        return [entry.name for entry in TABLE]

    def get_command(self, ctx: _click.Context, cmd_name: str) -> _click.Command | None:
        """Import one module and return its command or group."""
        entry = next((entry for entry in TABLE if entry.name == cmd_name), None)
        if entry is None:
            return None
        app = importlib.import_module(f"skillspace.cli.{entry.module}").app
        if entry.is_single:
            return build_command(app.registered_commands[0], name=entry.name)
        return Group(app, entry.name)

    def get_help(self, ctx: _click.Context) -> str:
        """Return the help of `skillspace`; the front door shows it from a constant."""
        sections = [
            (t(title), [(row.name, t(row.summary)) for row in TABLE if row.section == title])
            for title in dict.fromkeys(row.section for row in TABLE)
        ]
        return render_group(self, ctx, sections)


def build() -> _click.Command:
    """Build the root with its global options."""
    app = typer.Typer(
        cls=Root,
        help=t(
            "A workspace for people, resumes, background work and an AI assistant, "
            "on your own machine."
        ),
        epilog=examples(
            ("skillspace demo", t("Try it with sample data; no server, no download.")),
            ('skillspace chat "How do I start a resume?"', t("Ask one thing.")),
            ("cat job.txt | skillspace chat summarise", t("Ask about a text.")),
        ),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_global_options)
    return get_group(app)


def _global_options(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help=t("Show only data and errors."))
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help=t("Show details, and errors in full."))
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help=t("No colour; NO_COLOR does the same."))
    ] = False,
    lang: Annotated[
        str, typer.Option("--lang", metavar="en|zh", help=t("Language of this call."))
    ] = "",
    version: Annotated[
        bool, typer.Option("--version", "-V", help=t("Show the version and exit."))
    ] = False,
) -> None:
    streams = streams_of(context)
    streams.quiet, streams.verbose = quiet, verbose
    if no_color:
        streams.turn_color_off()
    if lang:
        if lang not in ("en", "zh"):
            raise typer.BadParameter(t("choose en or zh"), param_hint="--lang")
        streams.flags["language"] = lang
    if version:
        from skillspace.cli.generated import VERSION

        streams.write(f"skillspace {VERSION}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        streams.write(context.get_help() + "\n")


def run_command_line(args: Sequence[str], streams: Streams | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        args: Without the program's name.
        streams: None takes those of the process.
    """
    streams = streams or Streams.of_process()
    set_language(early_language(streams.environment, lang_flag(args)))
    command = build()
    gc.enable()
    gc.freeze()
    return run_command(command, list(args), streams)


def walk(command: _click.Command | None = None) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the built command of everything that can be called, in order.

    Called by `scripts/generate` and by tests; it imports every command module.

    Args:
        command: Where to begin; None begins at the root.
    """
    command = command or build()
    pending: list[tuple[tuple[str, ...], _click.Command]] = [((), command)]
    while pending:
        path, current = pending.pop(0)
        yield path, current
        if isinstance(current, TyperGroup):
            context = _click.Context(current, info_name="skillspace")
            names = current.list_commands(context)
            below = [((*path, name), current.get_command(context, name)) for name in names]
            pending = [(place, found) for place, found in below if found] + pending
