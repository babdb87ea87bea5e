"""`skillspace completion SHELL`: print a shell's completion script, or put it in its place.

Called by `cli.main`. Never edits a file that a person wrote: where the shell has a folder that
it reads by itself the script goes there, else the command says which line to add.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillspace.cli.commands import examples, new_group, streams_of
from skillspace.core.text import t

if TYPE_CHECKING:
    from collections.abc import Mapping

app = new_group(t("Print or install completion for a shell."))


@app.command(
    help=t(
        "Print the completion script of a shell, or install it. Sessions, tasks, models, resumes "
        "and settings complete with what exists."
    ),
    epilog=examples(
        "skillspace completion bash --install",
        ('eval "$(skillspace completion bash)"', t("Try it in this shell only.")),
        "skillspace completion powershell >> $PROFILE",
    ),
)
def completion(
    context: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish|powershell", help=t("The shell."))],
    install: Annotated[
        bool, typer.Option("--install", help=t("Write it where the shell looks for it."))
    ] = False,
) -> None:
    """Print or install a completion script."""
    from skillspace.cli.shells import SCRIPTS

    streams = streams_of(context)
    if shell not in SCRIPTS:
        raise typer.BadParameter(t("choose one of {names}", names=", ".join(SCRIPTS)))
    name, script = SCRIPTS[shell]
    if not install:
        streams.write(script)
        return
    folder, remedy = _place(shell, streams.environment)
    if folder is None:
        from skillspace.core.errors import InvalidInput

        raise InvalidInput(
            t("{shell} has no folder for completions.", shell=shell),
            hint=t("Add it to your profile: skillspace completion powershell >> $PROFILE"),
        )
    from skillspace.core.storage import writing

    path = folder / name
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(script, encoding="utf-8")
    streams.say(t("Wrote {path}. It counts in new shells.", path=path))
    if remedy:
        streams.say(remedy)


def _place(shell: str, environment: "Mapping[str, str]") -> tuple[Path | None, str]:
    """Return the folder a shell reads, and what else a person must do."""
    user = Path(environment.get("HOME") or os.path.expanduser("~"))
    data = Path(environment.get("XDG_DATA_HOME") or user / ".local/share")
    config = Path(environment.get("XDG_CONFIG_HOME") or user / ".config")
    if shell == "bash":
        return data / "bash-completion/completions", t(
            "It needs the package bash-completion; without it add: {line}",
            line='eval "$(skillspace completion bash)"',
        )
    if shell == "zsh":
        folder = data / "zsh/site-functions"
        return folder, t(
            "If zsh does not find it, add to ~/.zshrc before compinit: {line}",
            line=f"fpath+=({folder})",
        )
    if shell == "fish":
        return config / "fish/completions", ""
    return None, ""
