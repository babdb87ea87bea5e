"""A conversation on a real terminal: prompts, keys, commands, stops, history."""

import io
import json
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from skillspace.cli.repl import Conversation
from skillspace.cli.streams import Streams
from skillspace.cli.wishes import Wishes
from skillspace.core.errors import NotFound
from tests.cli.screens import ScreenProcess
from tests.cli.test_chat import chat_once, stored
from tests.spaces import ScriptedEngine, open_space

PROGRAM = (sys.executable, "-m", "tests.cli.chat_program")
PROMPT = "›"
ENTER = "\r"


def talk(environment: dict[str, str], script: str = "hello", *options: str) -> ScreenProcess:
    """Begin a conversation with a scripted model."""
    return ScreenProcess([*PROGRAM, script, *options], environment, columns=200, rows=30)


def test_prompts_and_answers_make_one_session(environment: dict[str, str]) -> None:
    """Each prompt is answered, all in one session, and Ctrl-D ends with 0."""
    with talk(environment) as process:
        process.wait_for(PROMPT)
        process.type("first" + ENTER)
        process.wait_for("• two")
        process.type("second" + ENTER)
        process.wait_for("second\nHello world")
        process.wait_for_last(PROMPT)
        process.type("\x04")
        assert process.wait() == 0
    assert [row[2] for row in stored(environment) if row[0] == "user"] == ["first", "second"]


def test_lines_are_kept_in_a_prompt(environment: dict[str, str]) -> None:
    """Ctrl-J and Alt-Enter begin a new line, a paste keeps its lines, Enter sends."""
    with talk(environment) as process:
        process.wait_for(PROMPT)
        process.type("one\ntwo\x1b\rthree\x1b[200~ four\r\nfive\x1b[201~" + ENTER)
        process.wait_for("• two")
        process.wait_for_last(PROMPT)
        process.type("/quit" + ENTER)
        assert process.wait() == 0
    assert stored(environment)[0][2] == "one\ntwo\nthree four\nfive"


def test_ctrl_c_stops_the_answer_and_comes_back(environment: dict[str, str]) -> None:
    """Ctrl-C during an answer keeps the part and gives the prompt; at the prompt it clears."""
    with talk(environment, "held") as process:
        process.wait_for(PROMPT)
        process.type("question" + ENTER)
        process.wait_for("Second part")
        process.type("\x03")
        process.wait_for("Stopped")
        process.wait_for_last(PROMPT)
        process.type("never sent\x03")
        process.type("/session" + ENTER)
        process.wait_for("› " + "   1  question")
        process.wait_for_last(PROMPT)
        process.type("\x04")
        assert process.wait() == 0
    assert [row[1:] for row in stored(environment)] == [
        ["complete", "question"],
        ["partial", "First part.\n\nSecond part"],
    ]


@pytest.mark.parametrize("when", ["during an answer", "at the prompt"])
def test_sigterm_ends_the_conversation(environment: dict[str, str], when: str) -> None:
    """A conversation that is asked to end does so in order, and keeps what was said."""
    is_answering = when == "during an answer"
    with talk(environment, "held" if is_answering else "hello") as process:
        process.wait_for(PROMPT)
        process.type("question" + ENTER)
        process.wait_for("Second part" if is_answering else "• two")
        if not is_answering:
            process.wait_for_last(PROMPT)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait() == 130
    assert stored(environment)[1][1] == ("partial" if is_answering else "complete")


def test_unknown_command_names_the_nearest(environment: dict[str, str]) -> None:
    """A slash word that is no command is told with the nearest one, and nothing is asked."""
    with talk(environment) as process:
        process.wait_for(PROMPT)
        process.type("/regenrate" + ENTER)
        process.wait_for("Did you mean /regenerate?")
        process.type("/regenerate" + ENTER)
        process.wait_for("no session yet")
        process.wait_for_last(PROMPT)
        process.type("\x04")
        assert process.wait() == 0


def test_help_names_every_command(environment: dict[str, str]) -> None:
    """/help lists all commands and the keys."""
    with talk(environment) as process:
        process.wait_for(PROMPT)
        process.type("/help" + ENTER)
        process.wait_for("Ctrl-C stops")
        text = process.text()
        for name in ("/new", "/regenerate", "/save", "/model", "/session", "/thinking", "/system"):
            assert name in text


def test_regenerate_and_save(environment: dict[str, str], tmp_path: Path) -> None:
    """/regenerate replaces the answer, /save writes it and refuses to replace a file."""
    path = tmp_path / "talk.json"
    with talk(environment) as process:
        process.wait_for(PROMPT)
        process.type("question" + ENTER)
        process.wait_for("• two")
        process.wait_for_last(PROMPT)
        process.type("/regenerate" + ENTER)
        process.wait_for("/regenerate\nHello world")
        process.wait_for_last(PROMPT)
        process.type(f"/save {path}" + ENTER)
        process.wait_for("Written to")
        process.wait_for_last(PROMPT)
        process.type(f"/save {path}" + ENTER)
        process.wait_for("already there")
        process.wait_for_last(PROMPT)
        process.type("\x04")
        assert process.wait() == 0
    told = json.loads(path.read_text())
    assert [m["superseded_at"] is None for m in told["messages"]] == [True, False, True]
    assert len(stored(environment)) == 2


def test_continuing_shows_the_last_turns(environment: dict[str, str]) -> None:
    """`-c` shows how the session ended before it asks for more; /new leaves it."""
    chat_once(environment, "an old question", pieces=("An old **answer**.",))
    with talk(environment, "hello", "go_on=yes") as process:
        process.wait_for("An old answer.")
        assert "an old question" in process.text()
        process.wait_for_last(PROMPT)
        process.type("/new" + ENTER)
        process.wait_for("begins a new session")
        process.wait_for_last(PROMPT)
        process.type("fresh" + ENTER)
        process.wait_for("• two")
        process.wait_for_last(PROMPT)
        process.type("\x04")
        assert process.wait() == 0
    assert stored(environment)[0][2] == "fresh"


def test_history_is_private(environment: dict[str, str], home: Path) -> None:
    """Prompts are remembered in a file of mode 0600; the up arrow brings them back."""
    with talk(environment) as process:
        process.wait_for(PROMPT)
        process.type("remember me" + ENTER)
        process.wait_for("• two")
        process.wait_for_last(PROMPT)
        process.type("\x04")
        assert process.wait() == 0
    path = home / "state" / "chat_history"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with talk(environment) as process:
        process.wait_for(PROMPT)
        process.type("\x1b[A")
        process.wait_for("› remember me")


def test_tab_completes_commands_and_values(environment: dict[str, str]) -> None:
    """TAB completes a slash command, then its values."""
    with talk(environment) as process:
        process.wait_for(PROMPT)
        process.type("/thi\t")
        process.wait_for("› /thinking")
        process.type(" o\t")
        process.wait_for("off")
        process.type("\x03")
        process.wait_for_last(PROMPT)
        process.type("/session \t")
        process.type("\x03/help" + ENTER)
        process.wait_for("Ctrl-C stops")


@pytest.mark.parametrize("is_saved", [True, False])
async def test_options_hold_for_the_whole_conversation(
    environment: dict[str, str], home: Path, is_saved: bool
) -> None:
    """Every prompt is answered with the instruction and the resume of the command line."""
    engine = ScriptedEngine(["yes"])
    async with open_space(home, engine) as space:
        resume = (await space.demo.add(space.actor)).resumes[0]
        streams = Streams(io.StringIO(), io.StringIO(), io.StringIO(), environment)
        wishes = Wishes(system="Be brief.", resume_id=resume.id, save=is_saved)
        conversation = Conversation(space, streams, wishes)
        for line in ("first", "second"):
            assert await conversation.take(line)
        if is_saved:
            assert await conversation.take("/regenerate")
    systems = [request.messages[0].text for request in engine.requests]
    assert len(systems) == (3 if is_saved else 2)
    assert set(systems) == {systems[0]}
    assert systems[0].startswith("Be brief.\n\n")
    assert "<resume>" in systems[0]


def test_unsaved_conversation_keeps_nothing(environment: dict[str, str], home: Path) -> None:
    """With `--no-save` neither the session nor the prompts are kept, and it is said."""
    with talk(environment, "hello", "save=no") as process:
        process.wait_for("Nothing is kept")
        process.wait_for_last(PROMPT)
        process.type("secret" + ENTER)
        process.wait_for("• two")
        process.wait_for_last(PROMPT)
        process.type("\x04")
        assert process.wait() == 0
    assert not (home / "state" / "chat_history").exists()
    with pytest.raises(NotFound):
        stored(environment)
