"""`skillspace demo`: sample people and resumes, a real answer, and what to try next.

Called by `cli.main`, and by `scripts/demo` on a fresh clone. Works on the user's own space:
what it adds is marked as sample data and `--remove` takes it out again.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from skillspace.cli.commands import JsonOption, YesOption, examples, new_group, streams_of
from skillspace.core.text import t

if TYPE_CHECKING:
    from skillspace.cli.streams import Streams
    from skillspace.cli.wishes import Wishes
    from skillspace.core.app import SkillSpace
    from skillspace.core.chat.values import Exchange
    from skillspace.core.demo.service import DemoReport

app = new_group(t("Fill a space with sample people and resumes to try."))


@app.command(
    "demo",
    help=t(
        "Add sample people and resumes to this space, ask the assistant one thing, and say what "
        "to try next. A second run adds nothing."
    ),
    epilog=examples(
        "skillspace demo",
        ("skillspace demo --remove", t("Take the sample data out again.")),
        ("SKILLSPACE_HOME=/tmp/try skillspace demo", t("In a space of its own.")),
    ),
)
def run_demo(
    context: typer.Context,
    remove: Annotated[
        bool, typer.Option("--remove", help=t("Take the sample people and resumes out."))
    ] = False,
    no_answer: Annotated[
        bool, typer.Option("--no-answer", help=t("Add the data only; ask nothing."))
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what SkillSpace does."""
    from skillspace.cli.run import run_app

    streams = streams_of(context)
    if remove:
        _remove(streams, yes=yes, as_json=as_json)
        return

    async def work(space: "SkillSpace") -> None:
        report = await space.demo.add(space.actor)
        if as_json:
            await _tell_as_json(streams, space, report, asks=not no_answer)
            return
        _tell_data(streams, report)
        session_id = None if no_answer else await show_answer(streams, space)
        _tell_next(streams, report, session_id)

    run_app(streams, work, run_tasks=not no_answer)


def _remove(streams: "Streams", *, yes: bool, as_json: bool) -> None:
    from skillspace.cli.output import confirm, show_json
    from skillspace.cli.run import run_app

    if not confirm(streams, t("Remove the sample people and their resumes?"), yes=yes):
        streams.say(t("Nothing was removed."))
        return

    async def work(space: "SkillSpace") -> None:
        gone = await space.demo.remove(space.actor)
        if as_json:
            show_json(streams, gone)
        elif gone.removed_people:
            people, resumes = gone.removed_people, gone.removed_resumes
            told = t(
                "Removed {people} people and {resumes} resumes.", people=people, resumes=resumes
            )
            streams.say(told + " " + t("Your conversations stay."))
        else:
            streams.say(t("There is no sample data in this space."))

    run_app(streams, work)


def _tell_data(streams: "Streams", report: "DemoReport") -> None:
    from skillspace.cli.output import show_table

    if report.added_people or report.added_resumes:
        people, resumes = report.added_people, report.added_resumes
        added = t("Added {people} people and {resumes} resumes.", people=people, resumes=resumes)
        streams.say(f"{added}\n")
    else:
        streams.say(t("The sample data was already here.") + "\n")
    titles = [t("Resume"), t("Title"), t("Language"), t("Owner")]
    rows = [[r.id, r.title, r.language, r.username] for r in report.resumes]
    show_table(streams, titles, rows, right=(0,))


def _question() -> str:
    return t("How do I start my resume?")


async def _ask(space: "SkillSpace", wishes: "Wishes") -> "Exchange":
    return await space.chat.ask(space.actor, wishes.ask(space, _question()))


async def show_answer(streams: "Streams", space: "SkillSpace") -> int | None:
    """Stream an answer, as `skillspace chat` does, and return its conversation's id.

    Raises:
        SkillSpaceError: There is no answer.
        typer.Exit: It was stopped by Ctrl-C.
    """
    from skillspace.cli.answer import show_exchange
    from skillspace.cli.chat import choose_view, conclude, tell_model
    from skillspace.cli.output import BOLD, paint
    from skillspace.cli.wishes import Wishes

    # The likeliest words: whoever tries this twice sees the same answer twice.
    wishes = Wishes(temperature=0)
    prompt = paint(f"> {_question()}", BOLD, streams.err_color)
    streams.say(f"\n{prompt}\n")
    exchange = await _ask(space, wishes)
    tell_model(space, streams, wishes.model)
    view = choose_view(space, streams, wishes, exchange)
    ending = await show_exchange(space, streams, exchange, view)
    if code := conclude(streams, exchange, ending, is_new=False):
        raise typer.Exit(code)
    return exchange.session_id


async def _tell_as_json(
    streams: "Streams", space: "SkillSpace", report: "DemoReport", *, asks: bool
) -> None:
    import msgspec

    from skillspace.cli.output import show_json
    from skillspace.cli.watch import raise_unless_finished
    from skillspace.cli.wishes import Wishes
    from skillspace.core.events import join_text

    told = msgspec.to_builtins(report)
    if asks:
        exchange = await _ask(space, Wishes(temperature=0))
        events = [event async for event in space.tasks.follow(space.actor, exchange.task_id)]
        raise_unless_finished(events[-1])
        told["question"], told["answer"] = _question(), join_text(events)
        told["task_id"], told["session_id"] = exchange.task_id, exchange.session_id
    show_json(streams, told)


def _tell_next(streams: "Streams", report: "DemoReport", session_id: int | None) -> None:
    """Say what to try next, on stderr: it is talk."""
    first = report.resumes[0].id
    commands = [
        (f"skillspace resume show {first}", t("Read a resume.")),
        ("skillspace chat", t("Talk with the assistant; /help says how.")),
        ("skillspace task list", t("Every answer is a task that can be followed.")),
        ("skillspace model list", t("Choose a larger model.")),
        ("skillspace doctor", t("Check this installation.")),
        ("skillspace demo --remove", t("Take the sample data out again.")),
    ]
    if session_id is not None:
        shown = (f"skillspace session show {session_id}", t("The conversation above is kept."))
        commands.insert(2, shown)
    width = max(len(command) for command, _ in commands)
    lines = [f"  {command:{width}}  {meaning}" for command, meaning in commands]
    streams.say("\n".join(["", t("What to try next:"), *lines]))
