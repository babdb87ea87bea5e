"""How help is laid out: usage, what it does, arguments, options, commands, examples.

Called by `cli.commands` for `--help`, and through it by `scripts/generate` for the static
help. Aligns and wraps by what a terminal shows, so that Chinese lines up. Never imports Rich.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from skillspace.cli.output import display_width, pad
from skillspace.cli.streams import Streams
from skillspace.core.text import t

if TYPE_CHECKING:
    from typer import _click

Rows = Sequence[tuple[str, str]]
LABEL_LIMIT = 28


def first_sentence(text: str) -> str:
    """Return the first sentence or line of a help text, without its full stop."""
    line = text.strip().partition("\n")[0]
    return line.partition(". ")[0].partition("。")[0].rstrip(".")


def render_command(command: "_click.Command", context: "_click.Context") -> str:
    """Return the help of one command."""
    arguments, options = _parameter_rows(command, context)
    words = [row[0] for row in arguments]
    usage = [t("[OPTIONS]"), *words]
    sections = [(t("Arguments"), arguments), (t("Options"), options)]
    return _render(command, context, usage, sections)


def render_group(
    command: "_click.Command",
    context: "_click.Context",
    sections: Sequence[tuple[str, Rows]],
) -> str:
    """Return the help of a group.

    Args:
        command: The group.
        context: Its context.
        sections: Titles with the commands below them, in order.
    """
    _, options = _parameter_rows(command, context)
    usage = [t("[OPTIONS]"), t("COMMAND [ARGS]...")]
    return _render(command, context, usage, [*sections, (t("Options"), options)])


def _render(
    command: "_click.Command",
    context: "_click.Context",
    usage: Sequence[str],
    sections: Sequence[tuple[str, Rows]],
) -> str:
    streams = context.find_root().obj
    width = min(100, streams.width) if isinstance(streams, Streams) else 80
    lines = [t("Usage: {usage}", usage=" ".join([context.command_path, *usage]))]
    for paragraph in (command.help or "").split("\n\n"):
        if paragraph.strip():
            lines += ["", *(f"  {line}" for line in wrap(paragraph, width - 2))]
    for title, rows in sections:
        if rows:
            lines += ["", t("{title}:", title=title), *_definitions(rows, width)]
    if command.epilog:
        lines += ["", t("Examples:"), *command.epilog.split("\n")]
    return "\n".join(lines)


def _definitions(rows: Rows, width: int) -> list[str]:
    label_width = min(LABEL_LIMIT, max(display_width(label) for label, _ in rows))
    lines = []
    for label, text in rows:
        wrapped = wrap(text, max(20, width - label_width - 4)) or [""]
        if display_width(label) > label_width:
            lines.append(f"  {label}")
        else:
            lines.append(f"  {pad(label, label_width)}  {wrapped.pop(0)}".rstrip())
        lines += [f"{'':{label_width + 4}}{line}" for line in wrapped]
    return lines


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines: between words, or between any two wide characters.

    Args:
        text: One paragraph; its own line ends count as spaces.
        width: Columns of a line at most, unless one word alone is longer.
    """
    lines: list[str] = []
    line = ""
    for word in _words(" ".join(text.split())):
        if line.strip() and display_width(line + word.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += word if line else word.lstrip()
    return [*lines, line.rstrip()] if line.strip() else lines


def _words(text: str) -> list[str]:
    """Cut a text where it may be broken; a closing mark stays with what it closes."""
    words: list[str] = []
    start = 0
    for i in range(1, len(text)):
        before, after = text[i - 1], text[i]
        wide = display_width(before) == 2 or display_width(after) == 2
        if after in "，。；：、！？）」』》,.;:!?)" or before in "（「『《(":
            continue
        if before == " " or (wide and after != " "):
            words.append(text[start:i])
            start = i
    words.append(text[start:])
    return words


def _parameter_rows(command: "_click.Command", context: "_click.Context") -> tuple[Rows, Rows]:
    arguments, options = [], []
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        help_text = getattr(parameter, "help", None) or ""
        if parameter.param_type_name == "argument":
            arguments.append((_argument_label(parameter), help_text))
        elif "--help" in parameter.opts:
            options.append(("-h, --help", t("Show this help and exit.")))
        else:
            record = parameter.get_help_record(context)
            label = record[0] if record else ""
            options.append((label, " ".join(filter(None, [help_text, _extra(parameter)]))))
    return arguments, options


def _argument_label(parameter: "_click.Parameter") -> str:
    name = parameter.metavar or (parameter.name or "").upper()
    name += "..." if parameter.nargs != 1 else ""
    return name if parameter.required else f"[{name.strip('[]')}]"


def _extra(parameter: "_click.Parameter") -> str:
    """Return default and range of an option, in brackets."""
    parts = []
    default = parameter.default
    if getattr(parameter, "show_default", False) and default not in (None, False, "", ()):
        shown = getattr(default, "value", default)
        parts.append(t("default: {value}", value=shown))
    low, high = getattr(parameter.type, "min", None), getattr(parameter.type, "max", None)
    if low is not None and high is not None:
        parts.append(t("{low} to {high}", low=low, high=high))
    elif low is not None:
        parts.append(t("{low} or more", low=low))
    if parameter.required:
        parts.append(t("required"))
    return f"[{t('; ').join(parts)}]" if parts else ""
