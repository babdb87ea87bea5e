"""`skillspace session`: list, read, search, export, rename and delete conversations.

Called by `cli.main`. Shows what `SessionService` returns; talking is in `cli.chat`.
"""

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillspace.cli.commands import JsonOption, YesOption, examples, new_group, streams_of
from skillspace.cli.exits import Exit
from skillspace.cli.run import run_app
from skillspace.core.errors import InvalidInput, NotFound
from skillspace.core.text import t

if TYPE_CHECKING:
    from skillspace.core.app import SkillSpace

app = new_group(t("List, search, export and delete conversations."))

SessionArgument = Annotated[
    str,
    typer.Argument(
        metavar="SESSION", help=t("A session's id, its title or how it begins, or `last`.")
    ),
]
EverybodyOption = Annotated[
    bool, typer.Option("--all", "-a", help=t("Everybody's sessions, not only yours."))
]
LimitOption = Annotated[
    int,
    typer.Option("--limit", "-n", metavar="N", min=1, max=1000, help=t("Show at most this many.")),
]


class Format(StrEnum):
    """How a conversation is written."""

    MARKDOWN = "md"
    JSON = "json"


@app.command(
    "list",
    help=t("List sessions, most recently used first."),
    epilog=examples(
        "skillspace session list",
        ("skillspace session list --before 12", t("The page after session 12.")),
        "skillspace session list -n 5 --json",
    ),
)
def list_sessions(
    context: typer.Context,
    limit: LimitOption = 20,
    before: Annotated[
        int | None,
        typer.Option("--before", metavar="SESSION", help=t("Only those used before this one.")),
    ] = None,
    everybody: EverybodyOption = False,
    as_json: JsonOption = False,
) -> None:
    """List sessions."""
    from skillspace.cli.output import show_json, show_table

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        sessions = await space.sessions.list(
            space.actor, limit=limit, before=before, everybody=everybody
        )
        if as_json:
            show_json(streams, sessions)
            return
        show_table(
            streams,
            [t("Session"), t("Title"), t("Messages"), t("Last used"), t("Last said")],
            [[s.id, s.title, s.message_count, s.updated_at, s.last_text[:60]] for s in sessions],
            empty=t('There is no session yet; begin one: skillspace chat "hello"'),
            right=(0, 2),
        )

    run_app(streams, work)


@app.command(
    "show",
    help=t("Show a conversation, a partial answer marked as such."),
    epilog=examples(
        "skillspace session show last",
        ("skillspace session show 3 --last 2", t("Only its last two messages.")),
        "skillspace session show 3 --json",
    ),
)
def show_session(
    context: typer.Context,
    session: SessionArgument,
    last: Annotated[
        int | None,
        typer.Option("--last", metavar="N", min=1, help=t("Only this many messages, the newest.")),
    ] = None,
    everybody: EverybodyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show a conversation."""
    from skillspace.cli.output import show_json, show_text

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        from skillspace.core.chat.export import export_markdown

        found = await space.sessions.find(space.actor, session, everybody=everybody)
        await _look_after_answer(space, found.id, everybody=everybody)
        turns = await space.sessions.messages(space.actor, found.id, last=last, everybody=everybody)
        if as_json:
            show_json(streams, {"session": found, "messages": turns})
            return
        text = export_markdown(found, turns)
        if streams.out_is_tty:
            from skillspace.cli.markdown import render_markdown

            lines = render_markdown(
                text,
                streams.width - 1,
                color=streams.color,
                environment=streams.environment,
            )
            streams.page("\n".join(lines) + "\n")
        else:
            show_text(streams, text)

    run_app(streams, work)


@app.command(
    "search",
    help=t("Search titles and messages; all the words must be there."),
    epilog=examples(
        'skillspace session search "cover letter"',
        "skillspace session search 简历 --json",
    ),
)
def search_sessions(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help=t("What to look for."))],
    limit: LimitOption = 20,
    everybody: EverybodyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search conversations."""
    from skillspace.cli.output import BOLD, DIM, paint, show_json, show_value

    streams = streams_of(context)
    text = " ".join(words)

    async def work(space: "SkillSpace") -> None:
        matches = await space.sessions.search(space.actor, text, limit=limit, everybody=everybody)
        if as_json:
            show_json(streams, matches)
            return
        if not matches:
            streams.say(t("No session holds {words}.", words=text))
        for match in matches:
            title = paint(f"{match.id}  {show_value(match.title)}", BOLD, streams.color)
            moment = paint(show_value(match.updated_at), DIM, streams.color)
            streams.write(f"{title}  {moment}\n")
            for line in match.lines:
                who = t("You") if line.role == "user" else t("Assistant")
                streams.write(f"    {who}: {show_value(line.text)}\n")

    run_app(streams, work)


@app.command(
    "export",
    help=t("Write a conversation as Markdown, or as JSON with everything that is stored."),
    epilog=examples(
        ("skillspace session export last > talk.md", t("Markdown to stdout.")),
        "skillspace session export 3 -f json -o talk.json",
    ),
)
def export_session(
    context: typer.Context,
    session: SessionArgument,
    format_: Annotated[
        Format, typer.Option("--format", "-f", metavar="md|json", help=t("Markdown or JSON."))
    ] = Format.MARKDOWN,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help=t("File to write; else stdout.")),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help=t("Replace a file that is there."))
    ] = False,
    everybody: EverybodyOption = False,
) -> None:
    """Write a conversation to stdout or a file."""
    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        from skillspace.cli.clean import safe_text
        from skillspace.cli.files import write_file

        text = await export_text(space, session, format_, everybody=everybody)
        if output is not None and str(output) != "-":
            write_file(output, text, replace=force, hint=t("Replace it with --force."))
            streams.say(t("Written to {path}.", path=output))
        else:
            streams.write(safe_text(text) if streams.out_is_tty else text)

    run_app(streams, work)


async def export_text(
    space: "SkillSpace", session: str, format_: Format, *, everybody: bool = False
) -> str:
    """Return a conversation as the text of a file.

    Args:
        space: Open.
        session: Id, title, beginning of a title, or `last`.
        format_: Markdown for people, JSON with everything.
        everybody: Any user's session.

    Raises:
        NotFound: There is none of that name, or more than one.
    """
    from datetime import UTC, datetime

    from skillspace.core.chat.export import SessionExport, export_json, export_markdown

    found = await space.sessions.find(space.actor, session, everybody=everybody)
    is_json = format_ is Format.JSON
    await _look_after_answer(space, found.id, everybody=everybody)
    turns = await space.sessions.messages(
        space.actor, found.id, with_superseded=is_json, everybody=everybody
    )
    if not is_json:
        return export_markdown(found, turns)
    export = SessionExport(exported_at=datetime.now(UTC), session=found, messages=tuple(turns))
    return export_json(export)


async def _look_after_answer(space: "SkillSpace", session_id: int, *, everybody: bool) -> None:
    """Let an answer whose process died show what it had said."""
    newest = await space.sessions.messages(space.actor, session_id, last=1, everybody=everybody)
    for turn in newest:
        if turn.status == "pending" and turn.task_id is not None:
            # Who may read another's session may not see their tasks for that.
            with contextlib.suppress(NotFound):
                await space.tasks.look_after(space.actor, turn.task_id)


@app.command(
    "rename",
    help=t("Give a session another title."),
    epilog=examples('skillspace session rename last "Cover letter"'),
)
def rename_session(
    context: typer.Context,
    session: SessionArgument,
    title: Annotated[str, typer.Argument(metavar="TITLE", help=t("The new title."))],
    as_json: JsonOption = False,
) -> None:
    """Give a session another title."""
    from skillspace.cli.output import show_json, show_value

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        found = await space.sessions.find(space.actor, session)
        renamed = await space.sessions.rename(space.actor, found.id, title, found.version)
        if as_json:
            show_json(streams, renamed)
        else:
            shown = show_value(renamed.title)
            streams.say(t("Session {id} is now called {title}.", id=renamed.id, title=shown))

    run_app(streams, work)


@app.command(
    "delete",
    help=t("Delete sessions with all their messages. This cannot be undone."),
    epilog=examples(
        "skillspace session delete 3",
        ("skillspace session delete 3 4 --yes", t("Without being asked.")),
    ),
)
def delete_sessions(
    context: typer.Context,
    sessions: Annotated[
        list[str],
        typer.Argument(metavar="SESSION", help=t("Ids or titles, or `last`.")),
    ],
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete sessions, after asking."""
    from skillspace.cli.output import confirm, show_json, show_value

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> bool:
        named = [await space.sessions.find(space.actor, name) for name in sessions]
        found = list({session.id: session for session in named}.values())
        gone = "\n".join(
            t(
                "  {id} “{title}”, {count} messages",
                id=s.id,
                title=show_value(s.title),
                count=s.message_count,
            )
            for s in found
        )
        question = t("Delete for good?\n{gone}\nThere is no undo.", gone=gone)
        if as_json and not yes:
            raise InvalidInput(t("--json needs --yes."))
        if not confirm(streams, question, yes=yes):
            streams.say(t("Nothing was deleted."))
            return False
        deleted = [await space.sessions.delete(space.actor, session.id) for session in found]
        if as_json:
            show_json(streams, deleted)
        else:
            streams.say(t("Deleted:\n{gone}", gone=gone))
        return True

    if not run_app(streams, work):
        raise typer.Exit(Exit.FAILED)
