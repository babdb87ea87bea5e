"""One-shot chat: the same answer in a pipe, a file and a terminal, and nothing lost on a stop."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillspace.cli.chat import answer_once, read_prompt
from skillspace.cli.main import run_command_line
from skillspace.cli.streams import Streams
from skillspace.cli.wishes import Wishes
from skillspace.core.app import SkillSpace
from skillspace.core.errors import EngineUnavailable, InvalidInput, NotFound, SkillSpaceError
from tests.cli.conftest import Done, Terminal
from tests.cli.screens import ScreenProcess
from tests.cli.spaces import ScriptedEngine, in_space

PROGRAM = (sys.executable, "-m", "tests.cli.chat_program")
OUR_CODES = re.compile(r"\x1b\[[0-9;]*m|\x1b\[[0-9]*[AKJ]|\x1b\[\?7[lh]")


def chat_once(
    environment: dict[str, str],
    prompt: str = "hi",
    *,
    pieces: tuple[str, ...] = ("Hello ", "**world**"),
    error: SkillSpaceError | None = None,
    tty: bool = False,
    context: str = "",
    **wishes: Any,
) -> Done:
    """Ask a scripted model one thing in this process."""
    kind = Terminal if tty else io.StringIO
    out, err = kind(), kind()
    streams = Streams(io.StringIO(), out, err, environment, width=60)

    async def work(space: SkillSpace) -> int:
        asked = Wishes(**{"model": "scripted", **wishes})
        return await answer_once(space, streams, asked, prompt, context=context)

    code = in_space(environment, work, engine=ScriptedEngine(pieces, error))
    return Done(code, out.getvalue(), err.getvalue())


def stored(environment: dict[str, str]) -> list[list[str]]:
    """Return role, status and text of each message of the newest session."""

    async def work(space: SkillSpace) -> list[list[str]]:
        session = await space.sessions.find(space.actor, "last")
        turns = await space.sessions.messages(space.actor, session.id)
        return [[turn.role, turn.status, turn.text] for turn in turns]

    return in_space(environment, work)


def test_pipe_gets_the_answer_alone(environment: dict[str, str]) -> None:
    """In a pipe stdout is the answer's own text and a newline; stderr is silent."""
    assert chat_once(environment) == Done(0, "Hello **world**\n", "")


def test_thinking_is_not_in_the_pipe(environment: dict[str, str]) -> None:
    """A pipe gets the answer without the thinking."""
    done = chat_once(environment, pieces=("<thinking>hm", "</thinking>", "Yes."))
    assert done.out == "Yes.\n"


def test_context_goes_before_the_prompt(environment: dict[str, str]) -> None:
    """Piped text is kept before the prompt in one message."""
    chat_once(environment, "summarise", context="a job text")
    assert stored(environment)[0] == ["user", "complete", "a job text\n\nsummarise"]


def test_continue_goes_on_with_the_last_session(environment: dict[str, str]) -> None:
    """`--continue` and `--session` add to a session; without them another begins."""
    chat_once(environment, "first")
    chat_once(environment, "second", go_on=True)
    chat_once(environment, "third", session="first")
    assert [row[2] for row in stored(environment) if row[0] == "user"] == [
        "first",
        "second",
        "third",
    ]
    chat_once(environment, "another")
    assert len(stored(environment)) == 2


def test_no_save_keeps_nothing(environment: dict[str, str]) -> None:
    """`--no-save` answers and leaves no session."""
    assert chat_once(environment, save=False).out == "Hello **world**\n"
    with pytest.raises(NotFound):
        stored(environment)


def test_json_is_one_object(environment: dict[str, str]) -> None:
    """`--json` prints one object with answer, thinking, ids, model and usage."""
    done = chat_once(environment, pieces=("<thinking>hm</thinking>Yes.",), as_json=True)
    told = json.loads(done.out)
    assert {key: told[key] for key in ("status", "answer", "thinking", "model")} == {
        "status": "complete",
        "answer": "Yes.",
        "thinking": "hm",
        "model": "scripted",
    }
    assert told["session_id"] == 1
    assert told["usage"]["completion_tokens"] == 1


def test_json_stream_is_one_object_per_event(environment: dict[str, str]) -> None:
    """`--json --stream` prints what was accepted, then every event up to the terminal one."""
    done = chat_once(environment, as_json=True, by_event=True)
    events = [json.loads(line) for line in done.out.splitlines()]
    assert events[0]["type"] == "accepted"
    assert events[0]["payload"]["session_id"] == 1
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    text = "".join(e["payload"]["text"] for e in events if e["type"] == "answer")
    assert (text, events[-1]["type"]) == ("Hello **world**", "finish")


def test_failed_answer_raises_the_error_of_its_code(environment: dict[str, str]) -> None:
    """An engine's error comes back as its class, so that the exit code is right; text is kept."""
    error = EngineUnavailable("the model fell over", hint="lift it")
    with pytest.raises(EngineUnavailable, match="fell over") as caught:
        chat_once(environment, pieces=("Half",), error=error)
    assert caught.value.hint == "lift it"
    assert stored(environment)[1] == ["assistant", "partial", "Half"]


def test_terminal_renders_markdown(environment: dict[str, str]) -> None:
    """On a terminal the answer is rendered, and stderr says how to go on."""
    done = chat_once(environment, tty=True)
    assert "**" not in done.out
    assert "Hello world" in OUR_CODES.sub("", done.out)
    assert "skillspace chat -c" in done.err


def test_raw_terminal_gets_the_pipe_s_text(environment: dict[str, str]) -> None:
    """`--raw` shows the text as it is on a terminal too."""
    assert chat_once(environment, tty=True, raw=True).out == "Hello **world**\n"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--temperature", "3"), "--temperature"),
        (("--temperature", "nan"), "--temperature"),
        (("--top-p", "0"), "--top-p"),
        (("--top-p", "1.5"), "--top-p"),
        (("--top-k", "-1"), "--top-k"),
        (("--max-tokens", "0"), "--max-tokens"),
        (("--seed", "-1"), "--seed"),
        (("--stream",), "--json"),
        (("-c", "-s", "1"), "--session"),
        (("-c", "--no-save"), "--no-save"),
        (("--resume", "x"), "--resume"),
    ],
)
def test_bad_options_are_usage_errors(
    ask: Callable[..., Done], home: Path, options: tuple[str, ...], named: str
) -> None:
    """A value out of range or a contradiction exits 2, names the flag, and touches no file."""
    done = ask("chat", *options, "hi")
    assert (done.code, done.out) == (2, "")
    assert named in done.err
    assert not home.exists()


@pytest.mark.parametrize("words", [(), ("",), ("  ",), ("-",)])
def test_empty_prompt_is_a_usage_error(ask: Callable[..., Done], words: tuple[str, ...]) -> None:
    """No prompt in a pipe, or an empty one, exits 2 and says how to give one."""
    done = ask("chat", *words, stdin=" \n")
    assert (done.code, done.out) == (2, "")
    assert "empty" in done.err


def test_unknown_session_is_not_found(ask: Callable[..., Done]) -> None:
    """A session that is not there exits 5."""
    assert ask("chat", "-s", "99", "hi").code == 5
    assert ask("chat", "-c", "hi").code == 5


def test_a_terminal_without_a_prompt_begins_a_conversation(environment: dict[str, str]) -> None:
    """On a terminal an empty command line asks for a conversation, a prompt for an answer."""
    streams = Streams(Terminal(), Terminal(), io.StringIO(), environment)
    assert read_prompt(streams, "") is None
    assert read_prompt(streams, " hi ") == ("hi", "")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_conversation_needs_a_terminal_on_both_sides(
    environment: dict[str, str], options: tuple[str, ...]
) -> None:
    """`skillspace chat > file` and `chat --json` exit 2 and say that they need a prompt."""
    out, err = io.StringIO(), io.StringIO()
    streams = Streams(Terminal(), out, err, environment)
    assert run_command_line(["chat", *options], streams) == 2
    assert out.getvalue() == ""
    assert "skillspace chat" in err.getvalue()


def test_wrong_bytes_on_stdin_are_named(environment: dict[str, str]) -> None:
    """stdin that is not UTF-8 exits 2 and names the first wrong byte."""
    done = subprocess.run(
        [sys.executable, "-m", "skillspace", "chat", "summarise"],
        input=b"abc\xff\xfe",
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"byte 3" in done.stderr
    assert done.stdout == b""


def test_prompt_and_piped_text(environment: dict[str, str]) -> None:
    """stdin alone is the prompt; beside an argument it is the text before it."""
    for words, expected in (("", ("piped", "")), ("-", ("piped", "")), ("ask", ("ask", "piped"))):
        streams = Streams(io.StringIO("piped\n"), io.StringIO(), io.StringIO(), environment)
        assert read_prompt(streams, words) == expected
    streams = Streams(io.StringIO(""), io.StringIO(), io.StringIO(), environment)
    with pytest.raises(InvalidInput):
        read_prompt(streams, "")


@pytest.mark.parametrize("script", ["hello", "hostile", "long", "thinking"])
def test_real_terminal_shows_only_our_codes(environment: dict[str, str], script: str) -> None:
    """On a real terminal all of the answer is there and every code that came is one of ours."""
    with ScreenProcess([*PROGRAM, script, "hi"], environment) as process:
        assert process.wait() == 0
        text = process.text()
        written = process.written
    last = {"hello": "• two", "hostile": "end", "long": "Paragraph 119", "thinking": "The answer."}
    assert last[script] in text
    if script == "long":
        found = re.findall(r"Paragraph (\d+) of the answer\.", text)
        assert found == [str(n) for n in range(120)]
    if script == "thinking":
        assert "Let me see" not in text
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", OUR_CODES.sub("", written))


def test_thinking_is_shown_on_request(environment: dict[str, str]) -> None:
    """`--show-thinking` shows the thinking above the answer."""
    args = [*PROGRAM, "thinking", "hi", "show_thinking=yes"]
    with ScreenProcess(args, environment) as process:
        assert process.wait() == 0
        lines = process.lines()
    assert lines[:4] == ["Let me see.", "Yes.", "", "The answer."]


def test_ctrl_c_keeps_the_partial_answer(environment: dict[str, str]) -> None:
    """Ctrl-C in a terminal stops the answer, shows all of it there is, keeps it, exits 130."""
    with ScreenProcess([*PROGRAM, "held", "hi"], environment, columns=100) as process:
        process.wait_for("Second part")
        process.type("\x03")
        assert process.wait() == 130
        text = process.text()
    assert "session show 1" in text
    assert "^C" not in text
    assert text.count("First part.") == 1
    assert stored(environment)[1] == ["assistant", "partial", "First part.\n\nSecond part"]


def test_second_ctrl_c_ends_at_once(environment: dict[str, str]) -> None:
    """When a model does not stop, a second Ctrl-C ends the process with 130."""
    with ScreenProcess([*PROGRAM, "stubborn", "hi"], environment) as process:
        process.wait_for("First part.")
        process.type("\x03")
        process.wait_for("still here")
        process.type("\x03")
        assert process.wait() == 130


def test_sigint_in_a_pipe_keeps_the_partial_answer(environment: dict[str, str]) -> None:
    """SIGINT to a process on pipes keeps the partial answer too; stdout holds all of it."""
    with subprocess.Popen(
        [*PROGRAM, "held", "hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        shown = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        shown += process.stdout.read()
        told = process.stderr.read()
    assert (process.returncode, shown) == (130, "First part.\n\nSecond part\n")
    assert "partial" in told
    assert stored(environment)[1][1] == "partial"


def test_closed_pipe_is_quiet_and_keeps_the_answer(environment: dict[str, str]) -> None:
    """When the reader goes away the generation is stopped, quietly, and what there is is kept."""
    with subprocess.Popen(
        [*PROGRAM, "long", "hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        os.read(process.stdout.fileno(), 1)
        process.stdout.close()
        told = process.stderr.read()
    assert told == b""
    assert stored(environment)[1][2].startswith("Paragraph 0")


def test_file_gets_what_a_pipe_gets(environment: dict[str, str], tmp_path: Path) -> None:
    """A file holds the same bytes as a pipe."""
    path = tmp_path / "answer.md"
    with path.open("wb") as file:
        subprocess.run(
            [*PROGRAM, "hello", "hi"],
            stdout=file,
            env=environment,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    piped = subprocess.run(
        [*PROGRAM, "hello", "hi"],
        capture_output=True,
        env=environment,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert path.read_bytes() == piped.stdout == b"Hello **world**\n\n- one\n- two\n"


def test_resize_during_an_answer_keeps_all_of_it(environment: dict[str, str]) -> None:
    """After a terminal changed its size in the middle, the whole answer can still be read."""
    with ScreenProcess([*PROGRAM, "held", "hi"], environment, columns=60, rows=16) as process:
        process.wait_for("Second part")
        process.resize(100, 10)
        process.type("\x03")
        assert process.wait() == 130
        text = process.text()
    assert text.count("First part.") == 1
    assert "Second part" in text
