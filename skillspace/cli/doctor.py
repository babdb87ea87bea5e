"""`skillspace doctor`: check this installation, and say what to do about what is wrong.

Called by `cli.main`. Its purpose is to work when other commands do not: it needs no valid
settings, no writable folder and no database. Exit code 1 when a check fails.
"""

import typer

from skillspace.cli.commands import JsonOption, examples, new_group, streams_of
from skillspace.core.text import t

app = new_group(t("Check this installation."))


@app.command(
    help=t(
        "Check Python, settings, folders, database, model and terminal. "
        "Each line that is not ok comes with a remedy; the exit code is 1 when one fails."
    ),
    epilog=examples("skillspace doctor", "skillspace doctor --json"),
)
def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Run every check and show what it found."""
    from skillspace.cli.checks import check_everything
    from skillspace.cli.clean import safe_line
    from skillspace.cli.output import GREEN, RED, YELLOW, pad, paint, show_json

    streams = streams_of(context)
    checks = check_everything(streams)
    if as_json:
        show_json(streams, checks)
    else:
        width = max(len(check.name) for check in checks)
        colors = {"ok": GREEN, "warn": YELLOW, "fail": RED}
        for check in checks:
            state = paint(pad(check.state, 4), colors[check.state], streams.color)
            streams.write(f"{state}  {check.name:{width}}  {safe_line(check.found)}\n")
            if check.remedy:
                streams.write(f"{'':{width + 8}}→ {safe_line(check.remedy)}\n")
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)
