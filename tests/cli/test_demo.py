"""`skillspace demo`: sample data in, an answer, sample data out."""

import json
from collections.abc import Callable
from io import StringIO

from skillspace.cli.demo import show_answer
from skillspace.cli.streams import Streams
from skillspace.core.app import SkillSpace
from tests.cli.conftest import Done
from tests.cli.spaces import ScriptedEngine, in_space

Call = Callable[..., Done]


def test_demo_adds_once(ask: Call) -> None:
    """The table is data on stdout, the same both times; what happened is talk on stderr."""
    first = ask("demo", "--no-answer")
    assert first.code == 0
    assert "Added 5 people and 6 resumes." in first.err
    assert "林悦" in first.out
    assert "skillspace resume show 1" in first.err
    second = ask("demo", "--no-answer")
    assert "already here" in second.err
    assert second.out == first.out
    assert len(json.loads(ask("resume", "list", "--json").out)) == 6


def test_every_command_it_names_exists(ask: Call) -> None:
    """What the demo says to try next can be called."""
    told = ask("demo", "--no-answer").err.partition("What to try next:")[2]
    commands = [line.split("  ")[1].split() for line in told.splitlines() if line.strip()]
    assert len(commands) >= 5
    for program, *words in commands:
        assert program == "skillspace"
        plain = [word for word in words if not word.isdigit()]
        assert ask(*[word for word in plain if word != "--remove"], "--help").code == 0


def test_remove_wants_a_yes(ask: Call) -> None:
    """Without a terminal it needs --yes; then the sample data is gone, and gone once."""
    ask("demo", "--no-answer")
    assert ask("demo", "--remove").code == 2
    assert "6 resumes" in ask("demo", "--remove", "--yes").err
    assert json.loads(ask("resume", "list", "--json").out) == []
    assert "no sample data" in ask("demo", "--remove", "--yes").err


def test_no_is_an_answer(ask: Call) -> None:
    """On a terminal anything but a yes keeps the data."""
    ask("demo", "--no-answer")
    assert "Nothing was removed" in ask("demo", "--remove", tty=True, stdin="n\n").err
    assert len(json.loads(ask("resume", "list", "--json").out)) == 6


def test_demo_for_programs(ask: Call) -> None:
    """--json is one object with the resumes and their numbers."""
    told = json.loads(ask("demo", "--no-answer", "--json").out)
    assert told["added_people"] == 5
    assert [resume["id"] for resume in told["resumes"]] == [1, 2, 3, 4, 5, 6]


def test_the_answer_streams_and_is_kept(ask: Call, environment: dict[str, str]) -> None:
    """The answer alone is on stdout, and its conversation is there afterwards."""
    streams = Streams(StringIO(), StringIO(), StringIO(), environment)

    async def work(space: SkillSpace) -> int | None:
        return await show_answer(streams, space)

    session_id = in_space(environment, work, engine=ScriptedEngine(("Begin ", "at the top.")))
    assert isinstance(streams.out, StringIO)
    assert streams.out.getvalue() == "Begin at the top.\n"
    assert "Begin at the top." in ask("session", "show", str(session_id)).out


def test_demo_in_a_process_of_its_own(loaded_modules: Callable[..., set[str]]) -> None:
    """The real program adds the data, and loads neither a model library nor a web one for it."""
    modules = loaded_modules("demo", "--no-answer", SKILLSPACE_LANGUAGE="zh")
    assert "skillspace.core.demo.service" in modules
    assert not {"torch", "transformers", "alembic", "textual", "aiohttp"} & modules
