"""Two and more processes on one home: what one does the others see, and nobody has to wait."""

from pathlib import Path

from tests.acceptance.command_line import CommandLine, finish, read_some, running

LONG = ("--max-tokens", "50000", "--temperature", "1", "--seed", "1")


def test_an_answer_is_seen_and_cancelled_from_elsewhere(
    line: CommandLine, endless_model: Path
) -> None:
    """A second terminal lists, follows and cancels what the first generates.

    All of them have the same text in the end: the first terminal, the second, and the session.
    """
    with running(line.start("chat", "-m", str(endless_model), *LONG, "keep me")) as first:
        shown = read_some(first)
        task = line.read("task", "list")[0]
        assert task["is_alive"] is True
        assert task["state"] in ("STARTED", "PROGRESS")
        with running(line.start("task", "watch", "last")) as second:
            seen = read_some(second, 20)
            cancelled = line.run("task", "cancel", task["id"][:8])
            assert (cancelled.code, cancelled.out[:8]) == (0, task["id"][:8])
            there = finish(second, seen)
        here = finish(first, shown)
    here._replace(out="").refused(130, "Cancelled")
    assert there.code == 130, there
    _, answer = line.turns()
    assert answer == ("assistant", "partial", here.out.removesuffix("\n"))
    assert there.out == here.out
    assert line.read("task", "show", task["id"])["state"] == "REVOKED"
    again = line.run("task", "cancel", task["id"])
    again.refused(6, task["id"])


def test_four_chats_at_once(line: CommandLine, endless_model: Path) -> None:
    """All are answered on one new home, and every answer is stored."""
    model = ("-m", str(endless_model), "--max-tokens", "8")
    names = [f"prompt {number}" for number in range(4)]
    processes = [line.start("chat", *model, name) for name in names]
    done = [finish(process) for process in processes]
    assert [(one.code, one.err) for one in done] == [(0, "")] * 4
    for name, one in zip(names, done, strict=True):
        prompt, answer = line.turns(name)
        assert prompt == ("user", "complete", name)
        assert answer == ("assistant", "complete", one.out.removesuffix("\n"))
    assert {task["state"] for task in line.read("task", "list")} == {"SUCCESS"}
    assert line.is_sound()
