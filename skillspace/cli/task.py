"""`skillspace task`: see background work, follow it live, stop it, do it again.

Called by `cli.main`. Everything shown comes from the task service: rows for `list` and `show`,
the event log for `watch`. Never runs a task itself, except that `watch` and `retry` open the
space so that a task nobody runs is carried out.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from skillspace.cli.commands import JsonOption, examples, new_group, streams_of
from skillspace.core.tasks.values import TaskView
from skillspace.core.text import t

if TYPE_CHECKING:
    from datetime import datetime

    from skillspace.core.app import SkillSpace

app = new_group(t("See background work, follow it, stop it, do it again."))


class State(StrEnum):
    """The states there are, as `core.tasks.values.TaskState` names them; Typer needs an enum."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    PROGRESS = "PROGRESS"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    RETRY = "RETRY"
    REVOKED = "REVOKED"


LAST = "last"
SHORT_ID_CHARACTERS = 8

TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK", help=t("A task's id, the beginning of one, or `last` for the newest.")
    ),
]
ThinkingOption = Annotated[
    bool, typer.Option("--show-thinking", help=t("Show what the model thinks, on stderr."))
]


@app.command(
    "list",
    help=t("List tasks, newest first."),
    epilog=examples(
        "skillspace task list",
        ("skillspace task list --state STARTED --state PROGRESS", t("What runs now.")),
        "skillspace task list --kind chat --limit 5 --json",
    ),
)
def list_tasks(
    context: typer.Context,
    state: Annotated[
        list[State] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help=t("Only this state, such as FAILURE; may be repeated."),
            case_sensitive=False,
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help=t("Only this kind; may be repeated.")),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", "-n", metavar="N", min=1, max=1000, help=t("Show at most this many.")
        ),
    ] = 20,
    everybody: Annotated[
        bool, typer.Option("--all", "-a", help=t("Everybody's tasks, not only yours."))
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List tasks."""
    from skillspace.cli.output import show_json, show_table
    from skillspace.cli.run import run_app

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        tasks = await space.tasks.list(
            space.actor, states=state or (), kinds=kind or (), limit=limit, everybody=everybody
        )
        if as_json:
            show_json(streams, tasks)
            return
        titles = [t("Task"), t("Kind"), t("State"), t("Age"), t("Progress"), t("Note")]
        length = _unique_length([task.id for task in tasks])
        rows = [_row(task, length) for task in tasks]
        if everybody:
            titles.insert(1, t("Owner"))
            for row, task in zip(rows, tasks, strict=True):
                is_own = task.owner_id == space.actor.user_id
                row.insert(1, t("you") if is_own else f"#{task.owner_id}")
        empty = t("There is no such task.") if state or kind else t("There is no task yet.")
        show_table(streams, titles, rows, empty=empty)

    run_app(streams, work)


@app.command(
    "show",
    help=t("Show one task: its state, times, result or error."),
    epilog=examples("skillspace task show last", "skillspace task show 3f2a --json"),
)
def show_task(context: typer.Context, task: TaskArgument, as_json: JsonOption = False) -> None:
    """Show one task."""
    from skillspace.cli.output import show_json, show_record
    from skillspace.cli.run import run_app

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        view = await space.tasks.get(space.actor, await _resolve(space, task))
        if as_json:
            show_json(streams, view)
        else:
            show_record(streams, {k: v for k, v in _record(view).items() if v is not None})

    run_app(streams, work)


@app.command(
    "watch",
    help=t(
        "Follow a task to its end, live, whichever process runs it. One that nobody runs is "
        "carried out here. Ctrl-C stops the watching, not a task that runs elsewhere."
    ),
    epilog=examples(
        "skillspace task watch last",
        ("skillspace task watch 3f2a --after 12", t("Go on after the twelfth event.")),
        ("skillspace task watch last --json", t("One JSON object per event.")),
    ),
)
def watch_task(
    context: typer.Context,
    task: TaskArgument,
    after: Annotated[
        int, typer.Option("--after", metavar="N", min=0, help=t("Skip events up to this number."))
    ] = 0,
    show_thinking: ThinkingOption = False,
    as_json: JsonOption = False,
) -> None:
    """Follow one task."""
    from skillspace.cli.run import run_app
    from skillspace.cli.watch import watch

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        task_id = await _resolve(space, task)
        events = space.tasks.follow(space.actor, task_id, after)
        await watch(streams, events, as_json=as_json, show_thinking=show_thinking)
        # After the last event nothing is shown, and the row still tells how it ended.
        failure = (await space.tasks.get(space.actor, task_id)).error
        if failure is not None:
            raise failure.as_error()

    run_app(streams, work, run_tasks=True)


@app.command(
    "cancel",
    help=t("Ask a task to stop; what it has done is kept."),
    epilog=examples("skillspace task cancel last", "skillspace task cancel 3f2a --json"),
)
def cancel_task(context: typer.Context, task: TaskArgument, as_json: JsonOption = False) -> None:
    """Cancel one task."""
    from skillspace.cli.output import show_json
    from skillspace.cli.run import run_app

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        view = await space.tasks.cancel(space.actor, await _resolve(space, task))
        if as_json:
            show_json(streams, view)
            return
        streams.write(f"{view.id[:SHORT_ID_CHARACTERS]} {view.state}\n")
        if not view.has_ended:
            streams.say(t("The process that runs it was told, and stops at its next step."))

    run_app(streams, work)


@app.command(
    "retry",
    help=t("Do a failed or cancelled task again, as a new task, and follow it."),
    epilog=examples(
        "skillspace task retry last",
        ("skillspace task retry 3f2a --no-wait", t("Print the new task's id and leave.")),
    ),
)
def retry_task(
    context: typer.Context,
    task: TaskArgument,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help=t("Do not follow it; print its id."))
    ] = False,
    show_thinking: ThinkingOption = False,
    as_json: JsonOption = False,
) -> None:
    """Retry one task."""
    from skillspace.cli.output import show_json
    from skillspace.cli.run import run_app
    from skillspace.cli.watch import watch

    streams = streams_of(context)

    async def work(space: "SkillSpace") -> None:
        old_id = await _resolve(space, task)
        view = await space.tasks.retry(space.actor, old_id)
        if no_wait and as_json:
            show_json(streams, view)
        elif no_wait:
            streams.write(f"{view.id}\n")
            streams.say(t("It runs as soon as a process works: skillspace task watch last"))
        else:
            streams.say(t("Task {new} repeats {old}.", new=view.id, old=view.retry_of))
            events = space.tasks.follow(space.actor, view.id)
            await watch(streams, events, as_json=as_json, show_thinking=show_thinking)

    run_app(streams, work, run_tasks=not no_wait)


async def _resolve(space: "SkillSpace", task: str) -> str:
    """Return the id that a person's word stands for; `last` is their newest task."""
    if task != LAST:
        return task
    from skillspace.core.errors import NotFound

    newest = await space.tasks.list(space.actor, limit=1)
    if not newest:
        raise NotFound(t("There is no task yet."), hint=t('Begin with: skillspace chat "hello"'))
    return newest[0].id


def _unique_length(ids: list[str]) -> int:
    """Return how many characters tell these ids apart, at least eight."""
    length = SHORT_ID_CHARACTERS
    while len({task_id[:length] for task_id in ids}) < len(ids):
        length += 1
    return length


def _row(task: TaskView, length: int) -> list[object]:
    return [
        task.id[:length],
        task.kind,
        task.state,
        _age(task.created_at),
        _progress(task),
        _note(task, length),
    ]


def _note(task: TaskView, length: int) -> str:
    """Say what is worth knowing about a task, besides its state."""
    notes = []
    if task.is_alive is not None:
        notes.append(_process(task) or "")
    if task.cancel_requested_at is not None and not task.has_ended:
        notes.append(t("cancel asked"))
    if task.retry_of is not None:
        notes.append(t("retry of {task}", task=task.retry_of[:length]))
    if task.error is not None:
        notes.append(task.error.message)
    return t("; ").join(notes)


def _process(task: TaskView) -> str | None:
    if task.is_alive is None:
        return None
    return t("alive") if task.is_alive else t("process is dead")


def _progress(task: TaskView) -> str:
    meta = task.meta or {}
    current, total = meta.get("current"), meta.get("total")
    return f"{current}/{total}" if current is not None and total else ""


def _record(task: TaskView) -> dict[str, object]:
    import msgspec

    error = task.error
    ended, began = task.finished_at, task.started_at
    return {
        t("Task"): task.id,
        t("Kind"): task.kind,
        t("State"): task.state,
        t("Process"): _process(task),
        t("Progress"): _progress(task) or None,
        t("Retry of"): task.retry_of,
        t("Submitted"): task.created_at,
        t("Started"): began,
        t("Cancel asked"): task.cancel_requested_at,
        t("Ended"): ended,
        t("Took"): f"{(ended - began).total_seconds():.1f} s" if ended and began else None,
        t("Attempt"): task.attempt or None,
        t("Deaths"): task.deaths or None,
        t("Error"): f"{error.message} ({error.code})" if error else None,
        t("Hint"): error.hint or None if error else None,
        t("Result"): msgspec.json.encode(task.result).decode() if task.result else None,
    }


def _age(moment: "datetime") -> str:
    """Return how long ago a moment was, in its largest whole unit."""
    from datetime import UTC, datetime

    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    if seconds < 60:
        return t("{count} s", count=seconds)
    if seconds < 3600:
        return t("{count} min", count=seconds // 60)
    if seconds < 2 * 86400:
        return t("{count} h", count=seconds // 3600)
    return t("{count} d", count=seconds // 86400)
