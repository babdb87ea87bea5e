"""`skillspace task`: what people and programs see of background work."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from io import StringIO

import pytest

from skillspace.cli.streams import Streams
from skillspace.cli.watch import watch
from skillspace.core.app import SkillSpace
from skillspace.core.chat.values import Ask
from skillspace.core.errors import Cancelled, EngineUnavailable, Interrupted
from skillspace.core.events import Event
from tests.cli.conftest import Done, Terminal
from tests.cli.spaces import ScriptedEngine, in_space

Call = Callable[..., Done]


def ask_model(
    environment: dict[str, str], engine: ScriptedEngine | None = None, model: str | None = None
) -> str:
    """Submit a chat task, follow it if an engine answers it, and return its id."""

    async def work(space: SkillSpace) -> str:
        exchange = await space.chat.ask(space.actor, Ask(prompt="hi", model=model))
        if engine is not None:
            async for _ in space.tasks.follow(space.actor, exchange.task_id):
                pass
        return exchange.task_id

    return in_space(environment, work, engine=engine)


def test_an_empty_list_says_so_on_stderr(ask: Call) -> None:
    """Without tasks stdout stays empty and the exit code is 0."""
    done = ask("task", "list")
    assert (done.code, done.out) == (0, "")
    assert "no task" in done.err
    assert json.loads(ask("task", "list", "--json").out) == []


def test_the_list_shows_id_kind_and_state(ask: Call, environment: dict[str, str]) -> None:
    """A row begins with the short id; filters leave rows out; --json holds whole ids."""
    done_id = ask_model(environment, ScriptedEngine())
    waiting_id = ask_model(environment)
    done = ask("task", "list")
    rows = {line.split()[0]: line for line in done.out.splitlines()[1:]}
    assert set(rows) == {done_id[:8], waiting_id[:8]}
    assert "SUCCESS" in rows[done_id[:8]]
    assert "chat" in rows[done_id[:8]]
    assert "PENDING" in rows[waiting_id[:8]]
    assert waiting_id[:8] not in ask("task", "list", "--state", "success").out
    assert ask("task", "list", "--kind", "nothing").out == ""
    assert done_id[:8] in ask("task", "list", "--all").out
    assert [task["id"] for task in json.loads(ask("task", "list", "-n", "1", "--json").out)] == [
        waiting_id
    ]


def test_show_takes_an_id_its_beginning_or_last(ask: Call, environment: dict[str, str]) -> None:
    """One task is found by whole id, by its beginning, and as `last`."""
    task_id = ask_model(environment, ScriptedEngine())
    for word in (task_id, task_id[:6], "last"):
        assert json.loads(ask("task", "show", word, "--json").out)["id"] == task_id
    shown = ask("task", "show", "last").out
    assert task_id in shown
    assert "SUCCESS" in shown


def test_an_unknown_task_is_exit_5(ask: Call) -> None:
    """An id that names nothing, and `last` where there is nothing, are not found."""
    for command in ("show", "watch", "cancel", "retry"):
        assert ask("task", command, "ffffffff").code == 5
        assert ask("task", command, "last").code == 5


def test_watch_replays_the_answer_alone(ask: Call, environment: dict[str, str]) -> None:
    """stdout of a pipe is the answer, without thinking and without escape codes."""
    pieces = ("<think>hm</think>", "<answer>red \x1b[31m", "text\x1b]0;title\x07</answer>")
    ask_model(environment, ScriptedEngine(pieces))
    done = ask("task", "watch", "last")
    assert (done.code, done.out) == (0, "red text\n")
    assert "hm" not in done.err
    assert "hm" in ask("task", "watch", "last", "--show-thinking").err


def test_watch_as_json_is_one_event_per_line(ask: Call, environment: dict[str, str]) -> None:
    """Events come with rising numbers up to the terminal one; --after skips the first ones."""
    ask_model(environment, ScriptedEngine())
    events = [json.loads(line) for line in ask("task", "watch", "last", "--json").out.splitlines()]
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(numbers)
    assert events[-1]["type"] == "finish"
    cut = numbers[0]
    rest = ask("task", "watch", "last", "--json", "--after", str(cut)).out.splitlines()
    assert [json.loads(line)["seq"] for line in rest] == numbers[1:]


def test_watch_ends_as_the_task_ended(ask: Call, environment: dict[str, str]) -> None:
    """A failed task gives its partial answer and its own error's exit code."""
    error = EngineUnavailable("the engine is gone")
    ask_model(environment, ScriptedEngine(("half",), error))
    done = ask("task", "watch", "last")
    assert (done.code, done.out) == (3, "half\n")
    assert "the engine is gone" in done.err


def test_watch_carries_out_what_nobody_runs(ask: Call, environment: dict[str, str]) -> None:
    """A waiting task is run by the process that watches it, here to its failure."""
    task_id = ask_model(environment, model="/nowhere/model")
    assert ask("task", "watch", task_id).code != 0
    assert json.loads(ask("task", "show", task_id, "--json").out)["state"] == "FAILURE"


def test_cancel_ends_a_waiting_task_once(ask: Call, environment: dict[str, str]) -> None:
    """The state is printed; a second time is a conflict; watching it is exit 130."""
    task_id = ask_model(environment)
    done = ask("task", "cancel", task_id[:8])
    assert (done.code, done.out) == (0, f"{task_id[:8]} REVOKED\n")
    assert ask("task", "cancel", task_id).code == 6
    assert ask("task", "watch", task_id).code == 130


def test_retry_makes_a_new_task(ask: Call, environment: dict[str, str]) -> None:
    """--no-wait prints the new id, whose row names the old one; a success is not repeated."""
    old_id = ask_model(environment)
    ask("task", "cancel", old_id)
    done = ask("task", "retry", old_id, "--no-wait")
    new_id = done.out.strip()
    assert done.code == 0
    assert json.loads(ask("task", "show", new_id, "--json").out)["retry_of"] == old_id
    assert f"retry of {old_id[:8]}" in ask("task", "list").out
    assert ask("task", "retry", new_id).code == 6
    ask_model(environment, ScriptedEngine())
    assert ask("task", "retry", "last").code == 6


async def events_of(events: Iterable[Event]) -> AsyncIterator[Event]:
    """Yield events as a log's reader does."""
    for event in events:
        yield event


def progress(seq: int, current: int) -> Event:
    """Return a progress event, out of three."""
    return Event(seq=seq, type="progress", payload={"current": current, "total": 3})


@pytest.mark.parametrize("kind", [StringIO, Terminal])
async def test_progress_is_talk(kind: type[StringIO]) -> None:
    """Progress goes to stderr: a bar that is redrawn on a terminal, a line each in a pipe."""
    streams = Streams(StringIO(), kind(), kind(), {"NO_COLOR": "1"})
    await watch(streams, events_of([progress(1, 1), progress(2, 3), Event(seq=3, type="finish")]))
    assert isinstance(streams.out, StringIO)
    assert isinstance(streams.err, StringIO)
    assert streams.out.getvalue() == ""
    told = streams.err.getvalue()
    if kind is Terminal:
        assert told.count("\r") == 2
        assert told.endswith(" 3/3\n")
    else:
        assert told == "1/3\n3/3\n"


async def test_text_and_talk_do_not_share_a_line() -> None:
    """What was begun on stdout is ended before stderr speaks, and the other way round."""
    screen = StringIO()
    streams = Streams(StringIO(), screen, screen, {})
    events = [
        Event(seq=1, type="answer", payload={"text": "one"}),
        Event(seq=2, type="status", payload={"text": "still there"}),
        Event(seq=3, type="retry", payload={"message": "No luck.", "delay_s": 2}),
        Event(seq=4, type="something-new", payload={"text": "?"}),
        Event(seq=5, type="answer", payload={"text": "two"}),
        Event(seq=6, type="finish"),
    ]
    await watch(streams, events_of(events))
    assert screen.getvalue() == "one\nstill there\nNo luck. It is tried again in 2 s.\ntwo\n"


@pytest.mark.parametrize(
    ("type_", "payload", "error"),
    [
        ("cancelled", {"code": "cancelled", "message": "stop"}, Cancelled),
        ("cancelled", {}, Cancelled),
        ("interrupted", {}, Interrupted),
        ("error", {"code": "engine_unavailable", "message": "gone"}, EngineUnavailable),
    ],
)
async def test_an_end_that_is_no_success_is_raised(
    type_: str, payload: dict[str, str], error: type[Exception]
) -> None:
    """The class is the one that the event's code names, or its type where it names none."""
    streams = Streams(StringIO(), StringIO(), StringIO(), {})
    with pytest.raises(error):
        await watch(streams, events_of([Event(seq=1, type=type_, payload={**payload})]))
