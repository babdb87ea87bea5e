"""`skillspace resume`: list the resumes of a space, and read one.

Called by `cli.main`. Reads only; everything shown comes from the resume service.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from skillspace.cli.commands import JsonOption, examples, new_group, streams_of
from skillspace.core.text import t

if TYPE_CHECKING:
    from skillspace.core.app import SkillSpace

app = new_group(t("List and show resumes."))


@app.command(
    "list",
    help=t("List the resumes you may see, most recently changed first."),
    epilog=examples("skillspace resume list", "skillspace resume list --json"),
)
def list_resumes(context: typer.Context, as_json: JsonOption = False) -> None:
    """List resumes."""
    from skillspace.cli.output import show_json, show_table
    from skillspace.cli.run import run_app

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        resumes = await space.resumes.list(space.actor)
        if as_json:
            show_json(streams, resumes)
            return
        show_table(
            streams,
            [t("Resume"), t("Title"), t("Language"), t("Owner"), t("Changed")],
            [[r.id, r.title, r.language, r.owner, r.updated_at] for r in resumes],
            empty=t("There is no resume yet; `skillspace demo` adds sample ones."),
            right=(0,),
        )

    run_app(streams, work)


@app.command(
    "show",
    help=t("Show one resume as text, or its JSON Resume document with --json."),
    epilog=examples(
        "skillspace resume show 1",
        ("skillspace resume show 1 --json > resume.json", t("Keep the document.")),
    ),
)
def show_resume(
    context: typer.Context,
    resume: Annotated[
        int, typer.Argument(metavar="RESUME", help=t("A resume's number in the list."))
    ],
    as_json: JsonOption = False,
) -> None:
    """Show one resume."""
    from skillspace.cli.output import show_json, show_text
    from skillspace.cli.resume_text import resume_text
    from skillspace.cli.run import run_app

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        found = await space.resumes.get(space.actor, resume)
        if as_json:
            show_json(streams, found.document)
        else:
            show_text(streams, resume_text(found, streams.width))

    run_app(streams, work)
