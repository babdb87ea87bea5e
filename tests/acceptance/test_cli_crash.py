"""However a chat is ended - Ctrl-C, SIGTERM, SIGKILL, a closed pipe - what was said is kept."""

import re
import signal
import sys
from pathlib import Path

from tests.acceptance.command_line import CommandLine, finish, read_some, running
from tests.cli.screens import ScreenProcess

LONG = ("--max-tokens", "50000", "--temperature", "1", "--seed", "1")
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_ctrl_c_in_a_terminal(line: CommandLine, endless_model: Path) -> None:
    """It exits 130 and says where the partial answer is; all of what was shown is kept."""
    args = [sys.executable, "-m", "skillspace", "chat", "--raw", "-m", str(endless_model), *LONG]
    with ScreenProcess([*args, "keep me"], line.environment, columns=100) as process:
        process.wait_for("e")
        process.type("\x03")
        assert process.wait() == 130
        written = CODES.sub("", process.written)
    assert "skillspace session show 1" in written
    prompt, answer = line.turns()
    assert prompt == ("user", "complete", "keep me")
    assert answer[:2] == ("assistant", "partial")
    shown = "".join(written.partition("Stopped.")[0].replace("^C", "").split())
    assert shown == "".join(answer[2].split())
    assert "stopped" in line.run("session", "show", "last").out
    assert line.read("task", "show", "last")["state"] == "REVOKED"


def test_sigterm(line: CommandLine, endless_model: Path) -> None:
    """A process that is asked to end does as on Ctrl-C: in order, and nothing is lost."""
    with running(line.start("chat", "-m", str(endless_model), *LONG, "keep me")) as process:
        shown = read_some(process, 50)
        process.send_signal(signal.SIGTERM)
        done = finish(process, shown)
    assert done.code == 130, done
    assert "Traceback" not in done.err
    assert line.turns()[1] == ("assistant", "partial", done.out.removesuffix("\n"))
    assert line.read("task", "show", "last")["state"] == "REVOKED"


def test_kill_9(line: CommandLine, endless_model: Path) -> None:
    """The partial answer is kept, its task is seen as dead, and the session goes on."""
    with running(line.start("chat", "-m", str(endless_model), *LONG, "keep me")) as process:
        shown = read_some(process, 50)
        running_task = line.read("task", "list")[0]
        assert (running_task["is_alive"], running_task["finished_at"]) == (True, None)
        process.kill()
        shown += process.communicate()[0]
    assert line.is_sound()
    assert line.read("task", "list")[0]["is_alive"] is False
    prompt, answer = line.turns()
    assert prompt == ("user", "complete", "keep me")
    assert answer[:2] == ("assistant", "partial")
    assert answer[2].startswith(shown.decode())
    ended = line.read("task", "list")[0]
    assert (ended["id"], ended["state"]) == (running_task["id"], "FAILURE")
    assert ended["error"]["code"] == "interrupted"
    following = line.run("chat", "-c", "-m", str(endless_model), "--max-tokens", "5", "go on")
    assert (following.code, following.err) == (0, "")
    statuses = [(role, status) for role, status, _ in line.turns()]
    assert statuses == [
        ("user", "complete"),
        ("assistant", "partial"),
        ("user", "complete"),
        ("assistant", "complete"),
    ]


def test_a_reader_that_goes_away(line: CommandLine, endless_model: Path) -> None:
    """`chat … | head -c 10` ends by itself, quietly, and what there was is kept."""
    with running(line.start("chat", "-m", str(endless_model), *LONG, "keep me")) as process:
        shown = read_some(process, 10)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
    _, answer = line.turns()
    assert answer[:2] == ("assistant", "partial")
    assert answer[2].startswith(shown.decode())


def test_no_save_leaves_nothing(line: CommandLine, tiny_model: Path) -> None:
    """After `--no-save` no session, no task and no file holds the prompt."""
    secret = "xyzzy-4711-plugh"
    model = ("-m", str(tiny_model), "--max-tokens", "20", "--temperature", "1")
    done = line.run("chat", "--no-save", *model, secret)
    assert (done.code, done.err) == (0, "")
    assert line.read("session", "list") == []
    assert line.read("task", "list") == []
    assert [name for name, content in line.files().items() if secret.encode() in content] == []
    assert line.is_sound()
