"""What every command module builds with: groups, examples, common options, the streams.

Called by the modules that `cli.main` lists. Keeps start-up short: only the command that is
invoked is built, and help is laid out without Rich. The only place that touches Typer's
internals; a test pins what is used of them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer
from typer import _click
from typer._click.exceptions import UsageError
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command_from_info
from typer.models import CommandInfo

from skillspace.cli.helptext import first_sentence, render_command, render_group
from skillspace.cli.streams import Streams
from skillspace.core.text import t

JsonOption = Annotated[
    bool, typer.Option("--json", help=t("Print JSON for programs instead of text for people."))
]
YesOption = Annotated[
    bool, typer.Option("--yes", "-y", help=t("Go ahead without asking for confirmation."))
]


def new_group(help_text: str) -> typer.Typer:
    """Return the Typer app of one command module.

    Args:
        help_text: What the group is for, one sentence, translated.
    """
    return typer.Typer(
        help=help_text,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )


def examples(*lines: str | tuple[str, str]) -> str:
    """Return the epilog of a command.

    Args:
        lines: Command lines, each alone or with what it does, translated.
    """
    shown = []
    for line in lines:
        command, meaning = (line, "") if isinstance(line, str) else line
        shown.append(f"  {command}\n      {meaning}" if meaning else f"  {command}")
    return "\n".join(shown)


def streams_of(context: _click.Context) -> Streams:
    """Return the streams of the command line that a command belongs to."""
    streams = context.find_root().obj
    assert isinstance(streams, Streams)
    return streams


def _print_help(context: _click.Context, parameter: _click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        streams_of(context).write(context.get_help() + "\n")
        raise typer.Exit


class Command(TyperCommand):
    """A command whose help is laid out by `cli.helptext`."""

    def get_help_option(self, ctx: _click.Context) -> TyperOption | None:
        """Return `--help`, which prints to the streams of this command line."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _print_help
        return option

    def get_help(self, ctx: _click.Context) -> str:
        """Return the whole help text."""
        return render_command(self, ctx)


class UnknownCommand(UsageError):
    """A word stands where a command's name must.

    Args:
        name: The word.
        names: What could stand there.
        context: Of the group.
    """

    def __init__(self, name: str, names: Sequence[str], context: _click.Context) -> None:
        super().__init__(name, ctx=context)
        self.name = name
        self.names = names


class LazyGroup(TyperGroup):
    """A group that finds its commands when they are named, and says which name is near."""

    def get_help_option(self, ctx: _click.Context) -> TyperOption | None:
        """Return `--help`, which prints to the streams of this command line."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _print_help
        return option

    def resolve_command(
        self, ctx: _click.Context, args: list[str]
    ) -> tuple[str | None, _click.Command | None, list[str]]:
        """Find the command that the first word names.

        Raises:
            UnknownCommand: There is none.
        """
        command = self.get_command(ctx, args[0])
        if command is None:
            raise UnknownCommand(args[0], self.list_commands(ctx), ctx)
        return args[0], command, args[1:]


class Group(LazyGroup):
    """The commands of one Typer app; each is built when it is asked for.

    Args:
        app: The module's Typer app.
        name: The group's name on the command line.
    """

    def __init__(self, app: typer.Typer, name: str) -> None:
        super().__init__(
            name=name,
            help=str(app.info.help or ""),
            rich_markup_mode=None,
            invoke_without_command=True,
            callback=_show_help,
        )
        self._infos = {command_name(info): info for info in app.registered_commands}

    def list_commands(self, ctx: _click.Context) -> list[str]:
        """Return the names in the order in which the module defines them."""
        return list(self._infos)

    def get_command(self, ctx: _click.Context, cmd_name: str) -> _click.Command | None:
        """Build one command; None if there is none of this name."""
        info = self._infos.get(cmd_name)
        return build_command(info) if info else None

    def summaries(self) -> Iterator[tuple[str, str]]:
        """Yield name and first sentence of each visible command, without building it."""
        for name, info in self._infos.items():
            if not info.hidden:
                yield name, first_sentence(str(info.help or ""))

    def get_help(self, ctx: _click.Context) -> str:
        """Return the whole help text."""
        return render_group(self, ctx, [(t("Commands"), list(self.summaries()))])


def build_command(info: CommandInfo, name: str = "") -> _click.Command:
    """Build one command of a Typer app.

    Args:
        info: As Typer registered it.
        name: Another name for it; empty keeps its own.
    """
    info.cls = Command
    command = get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)
    command.name = name or command.name
    return command


def command_name(info: CommandInfo) -> str:
    """Return the name a command has on the command line."""
    if info.name:
        return info.name
    callback: Callable[..., Any] | None = info.callback
    assert callback is not None
    return callback.__name__.replace("_", "-")


def _show_help() -> None:
    """Show the help of a group that was called without a command."""
    from typer._click.globals import get_current_context

    context = get_current_context()
    if context.invoked_subcommand is None:
        streams_of(context).write(context.get_help() + "\n")
