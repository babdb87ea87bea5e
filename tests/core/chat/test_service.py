"""Asking through the whole house: what is said, kept, stopped, failed, and asked again."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import func, select

from skillspace.core.app import SkillSpace
from skillspace.core.chat.service import title_of
from skillspace.core.chat.values import Ask
from skillspace.core.chat.views import MessageView
from skillspace.core.db.tables import event_logs, messages, outbox, task_events, tasks
from skillspace.core.errors import (
    Conflict,
    Denied,
    EngineUnavailable,
    InvalidInput,
    NotFound,
    Temporary,
)
from skillspace.core.events import ANSWER, THINKING, join_text
from skillspace.core.values import Sampling
from tests.spaces import (
    ScriptedEngine,
    add_user,
    ask,
    open_space,
    read_all,
    read_until,
    wait_for_state,
)


async def conversation(space: SkillSpace, **options: bool) -> list[MessageView]:
    """Return the turns of the session used last."""
    session = await space.sessions.find(space.actor, "last")
    return await space.sessions.messages(space.actor, session.id, **options)


async def count(space: SkillSpace, *tables: object) -> list[int]:
    """Count the rows of tables."""
    async with space.database.read() as connection:
        return [
            await connection.scalar(select(func.count()).select_from(table))  # type: ignore[arg-type]  # tables
            for table in tables
        ]


async def test_thinking_and_answer_are_kept_apart(home: Path) -> None:
    """Tags split over pieces show nowhere; both channels are stored as readers joined them."""
    script = ["<thi", "nking>let me", " see</think", "ing><ans", "wer>forty-", "two</answer>"]
    async with open_space(home, ScriptedEngine(script)) as space:
        events = await read_all(space, await ask(space))
        answer = (await conversation(space))[-1]
    assert join_text(events, THINKING) == "let me see" == answer.thinking
    assert join_text(events, ANSWER) == "forty-two" == answer.text


async def test_the_last_event_tells_usage_and_place(home: Path) -> None:
    """`finish` says which model answered, how many tokens it took, and where it is kept."""
    async with open_space(home, ScriptedEngine(["a", "b"])) as space:
        exchange = await space.chat.ask(space.actor, Ask(prompt="hi"))
        last = (await read_all(space, exchange.task_id))[-1]
    assert last.payload["model"] == "scripted"
    assert last.payload["usage"] == {"prompt_tokens": 0, "completion_tokens": 2}
    assert last.payload["session_id"] == exchange.session_id
    assert last.payload["message_id"] == exchange.answer_id


async def test_a_conversation_goes_on(home: Path) -> None:
    """The second prompt is answered with the first exchange before it."""
    engine = ScriptedEngine(["one"], ["two"])
    async with open_space(home, engine) as space:
        first = await space.chat.ask(space.actor, Ask(prompt="first", system="Be brief."))
        await read_all(space, first.task_id)
        second = await ask(space, "second", session_id=first.session_id, context="a file")
        await read_all(space, second)
    said = [(message.role, message.text) for message in engine.requests[1].messages]
    assert said == [
        ("system", "Be brief."),
        ("user", "first"),
        ("assistant", "one"),
        ("user", "a file\n\nsecond"),
    ]


async def test_a_cancelled_answer_keeps_what_was_said(home: Path) -> None:
    """Cancelling stops the engine, keeps the partial, ends in `cancelled` and REVOKED."""
    engine = ScriptedEngine(["some ", "words", asyncio.Event(), "never"])
    async with open_space(home, engine) as space:
        task_id = await ask(space)
        await read_until(space, task_id, "some words")
        await space.tasks.cancel(space.actor, task_id)
        events = await read_all(space, task_id)
        view = await space.tasks.get(space.actor, task_id)
        answer = (await conversation(space))[-1]
    assert [event.type for event in events if event.is_terminal] == ["cancelled"]
    assert view.state == "REVOKED"
    assert (answer.text, answer.status) == ("some words", "partial")
    assert engine.running == 0


async def test_a_task_is_cancelled_before_it_begins(home: Path) -> None:
    """It never starts, its log says `cancelled`, its empty answer is marked failed."""
    engine = ScriptedEngine()
    async with open_space(home) as space:
        task_id = await ask(space)
        view = await space.tasks.cancel(space.actor, task_id)
        assert view.state == "REVOKED"
        events = await read_all(space, task_id)
        assert [event.type for event in events] == ["cancelled"]
        assert (await conversation(space))[-1].status == "failed"
        with pytest.raises(Conflict):
            await space.tasks.cancel(space.actor, task_id)
    async with open_space(home, engine) as space:
        assert (await space.tasks.get(space.actor, task_id)).attempt == 0
    assert engine.requests == []


async def test_a_task_is_cancelled_from_another_process(home: Path) -> None:
    """A process that runs nothing can stop what another one runs; both see the same end."""
    engine = ScriptedEngine(["said", asyncio.Event()])
    async with open_space(home, engine) as worker, open_space(home) as terminal:
        task_id = await ask(worker)
        await read_until(terminal, task_id, "said")
        await terminal.tasks.cancel(terminal.actor, task_id)
        there, here = await asyncio.gather(read_all(terminal, task_id), read_all(worker, task_id))
        assert (await worker.tasks.get(worker.actor, task_id)).state == "REVOKED"
    assert join_text(there) == join_text(here) == "said"
    assert there[-1].type == here[-1].type == "cancelled"


async def test_an_engine_that_fails_is_told(home: Path) -> None:
    """An error before any text fails the task and its answer, with the error's code and hint."""
    engine = ScriptedEngine([EngineUnavailable("no memory left", hint="use a smaller model")])
    async with open_space(home, engine) as space:
        task_id = await ask(space)
        last = (await read_all(space, task_id))[-1]
        view = await space.tasks.get(space.actor, task_id)
        answer = (await conversation(space))[-1]
    assert last.type == "error"
    assert last.payload["code"] == "engine_unavailable"
    assert last.payload["hint"] == "use a smaller model"
    assert view.state == "FAILURE"
    assert view.error is not None
    assert isinstance(view.error.as_error(), EngineUnavailable)
    assert answer.status == "failed"


@pytest.mark.parametrize(
    "failure", [EngineUnavailable("gone"), Temporary("busy", delay_s=0), RuntimeError("a defect")]
)
async def test_text_before_a_failure_is_kept(home: Path, failure: BaseException) -> None:
    """What was said before the engine failed stays, whatever the failure; nothing is repeated."""
    engine = ScriptedEngine(["half an ans", failure])
    async with open_space(home, engine) as space:
        task_id = await ask(space)
        events = await read_all(space, task_id)
        answer = (await conversation(space))[-1]
    assert events[-1].type == "error"
    assert join_text(events) == "half an ans" == answer.text
    assert answer.status == "partial"
    assert len(engine.requests) == 1


async def test_a_passing_failure_is_tried_again(home: Path) -> None:
    """Temporary gives a `retry` event, then the next attempt answers."""
    engine = ScriptedEngine([Temporary("busy", delay_s=0)], ["done"])
    async with open_space(home, engine) as space:
        task_id = await ask(space)
        events = await read_all(space, task_id)
        view = await space.tasks.get(space.actor, task_id)
    assert [event.type for event in events] == ["retry", "answer", "finish"]
    assert (view.state, view.attempt) == ("SUCCESS", 2)


async def test_a_failed_answer_is_retried_in_its_place(home: Path) -> None:
    """Retry is a new task with a new answer where the failed one was; the old one is kept."""
    engine = ScriptedEngine([EngineUnavailable("gone")], ["better"])
    async with open_space(home, engine) as space:
        task_id = await ask(space)
        await read_all(space, task_id)
        view = await space.tasks.retry(space.actor, task_id)
        assert view.retry_of == task_id
        await read_all(space, view.id)
        with pytest.raises(Conflict):
            await space.tasks.retry(space.actor, view.id)
        with pytest.raises(Conflict):
            await space.tasks.retry(space.actor, task_id)
        shown = await conversation(space)
        everything = await conversation(space, with_superseded=True)
    assert [(turn.role, turn.text) for turn in shown] == [("user", "hi"), ("assistant", "better")]
    assert len(everything) == 3


async def test_an_answer_is_generated_again(home: Path) -> None:
    """The new answer takes the place of the old one, which stays, superseded."""
    engine = ScriptedEngine(["first"], ["second"])
    async with open_space(home, engine) as space:
        exchange = await space.chat.ask(space.actor, Ask(prompt="hi"))
        await read_all(space, exchange.task_id)
        assert exchange.session_id is not None
        again = await space.chat.regenerate(space.actor, exchange.session_id, Sampling())
        await read_all(space, again.task_id)
        shown = await conversation(space)
        everything = await conversation(space, with_superseded=True)
    assert [turn.text for turn in shown] == ["hi", "second"]
    assert sorted(turn.text for turn in everything) == ["first", "hi", "second"]
    assert [message.text for message in engine.requests[1].messages] == ["hi"]


async def test_an_answer_is_generated_again_with_its_resume(home: Path) -> None:
    """What the model could read for the first answer, it can read for every later one."""
    engine = ScriptedEngine(["first"], ["second"], ["third"])
    async with open_space(home, engine) as space:
        resume = (await space.demo.add(space.actor)).resumes[0]
        asked = Ask(prompt="hi", resume_id=resume.id, system="Be brief.")
        exchange = await space.chat.ask(space.actor, asked)
        await read_all(space, exchange.task_id)
        assert exchange.session_id is not None
        for _ in range(2):
            again = await space.chat.regenerate(space.actor, exchange.session_id, Sampling())
            await read_all(space, again.task_id)
    systems = [request.messages[0].text for request in engine.requests]
    assert systems[0].startswith("Be brief.")
    assert len(systems[0]) > 100
    assert systems == systems[:1] * 3


async def test_a_regeneration_that_says_nothing_restores_the_answer(home: Path) -> None:
    """When the new answer never came, the old one is shown again."""
    engine = ScriptedEngine(["first"], [EngineUnavailable("gone")])
    async with open_space(home, engine) as space:
        exchange = await space.chat.ask(space.actor, Ask(prompt="hi"))
        await read_all(space, exchange.task_id)
        assert exchange.session_id is not None
        again = await space.chat.regenerate(space.actor, exchange.session_id, Sampling())
        await read_all(space, again.task_id)
        everything = await conversation(space, with_superseded=True)
    assert [(turn.text, turn.status) for turn in everything] == [
        ("hi", "complete"),
        ("first", "complete"),
    ]


async def test_an_unsaved_exchange_leaves_nothing_behind(home: Path) -> None:
    """After it was read and forgotten, no table knows of it."""
    tables = (tasks, task_events, event_logs, outbox, messages)
    async with open_space(home, ScriptedEngine(["psst"])) as space:
        task_id = await ask(space, "a secret", save=False)
        assert join_text(await read_all(space, task_id)) == "psst"
        await wait_for_state(space, task_id, "SUCCESS")
        await space.tasks.forget(space.actor, task_id)
        assert await count(space, *tables) == [0] * len(tables)
        with pytest.raises(NotFound):
            await space.tasks.get(space.actor, task_id)


async def test_a_saved_or_running_task_is_not_forgotten(home: Path) -> None:
    """Only an ended exchange that nobody keeps may be forgotten."""
    engine = ScriptedEngine(["kept"], ["said", asyncio.Event()])
    async with open_space(home, engine) as space:
        saved = await ask(space)
        await read_all(space, saved)
        with pytest.raises(Conflict):
            await space.tasks.forget(space.actor, saved)
        running = await ask(space, save=False)
        await read_until(space, running, "said")
        with pytest.raises(Conflict):
            await space.tasks.forget(space.actor, running)


async def test_two_prompts_at_once_take_turns(home: Path) -> None:
    """Of two prompts in one session one is accepted and the other is told to wait."""
    engine = ScriptedEngine(["hello"], [asyncio.Event()])
    async with open_space(home, engine) as one, open_space(home) as other:
        exchange = await one.chat.ask(one.actor, Ask(prompt="hi"))
        await read_all(one, exchange.task_id)
        next_ask = Ask(prompt="more", session_id=exchange.session_id)
        results = await asyncio.gather(
            one.chat.ask(one.actor, next_ask),
            other.chat.ask(other.actor, next_ask),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["Conflict", "Exchange"]
        assert await count(one, messages) == [4]


async def test_what_is_somebody_elses_looks_like_none(home: Path) -> None:
    """Another user's task and session are not found, whatever is asked of them."""
    async with open_space(home, ScriptedEngine(["secret"])) as space:
        exchange = await space.chat.ask(space.actor, Ask(prompt="hi"))
        await read_all(space, exchange.task_id)
        assert exchange.session_id is not None
        stranger = await add_user(space.database, "stranger", "ai:chat:ask")
        for attempt in (
            space.tasks.get(stranger, exchange.task_id),
            space.tasks.cancel(stranger, exchange.task_id),
            space.tasks.retry(stranger, exchange.task_id),
            space.tasks.forget(stranger, exchange.task_id),
            space.chat.ask(stranger, Ask(prompt="hi", session_id=exchange.session_id)),
            space.chat.regenerate(stranger, exchange.session_id, Sampling()),
        ):
            with pytest.raises(NotFound):
                await attempt
        with pytest.raises(NotFound):
            await anext(space.tasks.follow(stranger, exchange.task_id))
        assert await space.tasks.list(stranger) == []
        with pytest.raises(Denied):
            await space.tasks.list(stranger, everybody=True)


async def test_asking_needs_a_permission(home: Path) -> None:
    """Without `ai:chat:ask` nothing is accepted."""
    async with open_space(home) as space:
        nobody = await add_user(space.database, "nobody")
        with pytest.raises(Denied):
            await space.chat.ask(nobody, Ask(prompt="hi"))


@pytest.mark.parametrize(
    "bad",
    [
        Ask(prompt=""),
        Ask(prompt=" \n\t"),
        Ask(prompt="a\x00b"),
        Ask(prompt="broken \udce4"),
        Ask(prompt="hi", sampling=Sampling(temperature=2.5)),
        Ask(prompt="hi", sampling=Sampling(top_p=0)),
        Ask(prompt="hi", sampling=Sampling(max_tokens=0)),
    ],
)
async def test_a_bad_prompt_is_refused_whole(home: Path, bad: Ask) -> None:
    """What cannot be asked leaves no session, message or task."""
    async with open_space(home) as space:
        with pytest.raises(InvalidInput):
            await space.chat.ask(space.actor, bad)
        assert await count(space, tasks, messages, outbox) == [0, 0, 0]


async def test_what_no_database_stores_is_replaced_in_log_and_answer_alike(home: Path) -> None:
    """NUL and lone surrogates from a model end neither the task nor the agreement of the two."""
    async with open_space(home, ScriptedEngine(["a\x00b", "\ud83d", "c"])) as space:
        events = await read_all(space, await ask(space))
        answer = (await conversation(space))[-1]
    assert events[-1].type == "finish"
    assert join_text(events) == answer.text == "a\ufffdb?c"


async def test_a_huge_piece_is_cut_into_events(home: Path) -> None:
    """An engine that says 200 KB at once is logged and stored to the last byte."""
    said = "简历🙂\n\x01" * 15_000
    async with open_space(home, ScriptedEngine([said])) as space:
        events = await read_all(space, await ask(space))
        answer = (await conversation(space))[-1]
    assert join_text(events) == said == answer.text


async def test_a_session_deleted_meanwhile_does_not_hang_its_readers(home: Path) -> None:
    """The task still ends, and leaves no trace of the deleted session."""
    gate = asyncio.Event()
    async with open_space(home, ScriptedEngine(["said", gate, " more"])) as space:
        task_id = await ask(space)
        await read_until(space, task_id, "said")
        async with space.database.write() as connection:
            await connection.execute(messages.delete())
        gate.set()
        events = await read_all(space, task_id)
        assert events[-1].type == "finish"
        assert await count(space, messages) == [0]


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("\n  Write   a\tsummary \nof this", "Write a summary"),
        ("word " * 30, ("word " * 12).strip() + "…"),
        ("写" * 100, "写" * 60 + "…"),
    ],
)
def test_a_title_is_the_first_line(prompt: str, title: str) -> None:
    """It is one line, without double spaces, cut at a word where there is one."""
    assert title_of(prompt) == title
