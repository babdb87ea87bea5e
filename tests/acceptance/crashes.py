"""Processes that accept and run tasks until they are killed, and the check of what they left.

`python -m tests.acceptance.crashes FOLDER` accepts, runs and reads tasks until somebody kills
it, writing down what it was promised and what its readers saw. `Battery` starts such processes
one after the other on one SQLite file, each before the last one is killed with SIGKILL; a last
one finishes. `check` then compares what they wrote down with what the database holds.
"""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from skillspace.core.app import Replacements, SkillSpace, open_app
from skillspace.core.chat.values import Ask
from skillspace.core.events import TERMINAL_TYPES
from skillspace.core.settings_sources import load_settings
from skillspace.core.values import EngineInfo, GenerateRequest, Piece, PromptMessage, Usage

ROOT = Path(__file__).parents[2]
OUTSTANDING = 6
WORDS = ("word ", "简历 ", "🙂 ", "naïve ", "\n", '"quoted" ')
ENDED = ("SUCCESS", "FAILURE", "REVOKED")


class SlowEngine:
    """Says ten to sixty words, one every few milliseconds; thinks before some answers."""

    async def describe(self) -> EngineInfo:
        return EngineInfo(model="slow", context_tokens=100_000)

    async def count_tokens(self, messages: Sequence[PromptMessage]) -> int:
        return sum(len(message.text) for message in messages)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        if random.random() < 0.3:
            await asyncio.sleep(random.random() * 0.3)
        count = random.randint(10, 60)
        for number in range(count):
            yield Piece(text=f"{number} {random.choice(WORDS)}")
            await asyncio.sleep(random.random() * 0.01)
        yield Piece(text="", finish_reason="stop", usage=Usage(completion_tokens=count))

    async def close(self) -> None:
        pass


class Notes:
    """Lines that survive the process that wrote them."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, **line: object) -> None:
        os.write(self._descriptor, msgspec.json.encode(line) + b"\n")


def read_notes(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """Return the whole lines of all files of one kind, each with its file's name."""
    lines = []
    for path in sorted(folder.glob(pattern)):
        for line in path.read_bytes().split(b"\n")[:-1]:
            lines.append({**msgspec.json.decode(line), "reader": path.name})
    return lines


class Child:
    """What one process does until it is killed."""

    def __init__(self, folder: Path, space: SkillSpace) -> None:
        self._folder = folder
        self._space = space
        self._accepted = Notes(folder / f"{os.getpid()}.accepted")
        self._places = asyncio.Semaphore(OUTSTANDING)

    async def work(self) -> None:
        """Ask, read and now and then cancel, for ever; also read what others run."""
        theirs = {line["id"] for line in read_notes(self._folder, "*.accepted")}
        async with asyncio.TaskGroup() as group:
            for task_id in sorted(theirs)[-3:]:
                group.create_task(self._read(task_id, f"{os.getpid()}-other"))
            print("ready", flush=True)
            while True:
                await self._places.acquire()
                group.create_task(self._ask())
                await asyncio.sleep(random.random() * 0.05)

    async def _ask(self) -> None:
        actor = self._space.actor
        exchange = await self._space.chat.ask(actor, Ask(prompt="say something"))
        self._accepted.add(id=exchange.task_id)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(exchange.task_id, str(os.getpid())))
            if random.random() < 0.1:
                await asyncio.sleep(random.random() * 0.2)
                try:
                    await self._space.tasks.cancel(actor, exchange.task_id)
                except Exception as error:  # noqa: BLE001 - it may have ended; the check will tell
                    self._accepted.add(id=exchange.task_id, refused=str(error))
        self._places.release()

    async def _read(self, task_id: str, reader: str, after: int = 0) -> None:
        seen = Notes(self._folder / f"{reader}.seen")
        follow = self._space.tasks.follow(self._space.actor, task_id, after)
        async with aclosing(follow) as events:
            async for event in events:
                seen.add(id=task_id, seq=event.seq, type=event.type, text=event.text)

    async def finish(self) -> None:
        """Read on where every reader was cut off, up to the last event of every task."""
        last: dict[tuple[str, str], int] = {}
        for line in read_notes(self._folder, "*.accepted"):
            last[(line["reader"].removesuffix(".accepted"), line["id"])] = 0
        for line in read_notes(self._folder, "*.seen"):
            ended = line["type"] in TERMINAL_TYPES
            last[(line["reader"].removesuffix(".seen"), line["id"])] = -1 if ended else line["seq"]
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for (reader, task_id), seq in last.items():
                if seq >= 0:
                    group.create_task(self._read(task_id, reader, seq))


async def main(folder: Path, mode: str) -> None:
    """Open the space as any process would, and work in it."""
    settings = load_settings({"SKILLSPACE_HOME": str(folder)}, {}).settings
    parts = Replacements(engine=SlowEngine())
    async with open_app(settings, run_tasks=True, replacements=parts) as space:
        child = Child(folder, space)
        await (child.finish() if mode == "finish" else child.work())


class Battery:
    """Starts processes on one folder and kills them.

    Args:
        folder: A home with a database, shared by all of them.
        seed: Of the moments at which they are killed.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self.takeovers_s: list[float] = []

    def run(self, cycles: int) -> None:
        """Kill this many processes, each while the next one already runs; then let one finish."""
        current = self._start("work")
        try:
            for _ in range(cycles):
                following = self._start("work")
                time.sleep(self._random.random() * 0.3)
                self._kill(current)
                current = following
            while not read_notes(self._folder, "*.accepted"):
                time.sleep(0.01)
            time.sleep(self._random.random() * 0.3)
        finally:
            current.send_signal(signal.SIGKILL)
            current.communicate()
        last = self._start("finish", wait=False)
        _, talk = last.communicate(timeout=90)
        assert last.returncode == 0, talk.decode()

    def _start(self, mode: str, wait: bool = True) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.acceptance.crashes", str(self._folder), mode]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if wait:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line == b"ready\n", child.communicate()[1].decode()
        return child

    def _kill(self, child: subprocess.Popen[bytes]) -> None:
        """Kill a process and measure until nothing is in its name any more."""
        query = (
            "SELECT count(*) FROM tasks WHERE state IN ('STARTED', 'PROGRESS') "
            "AND lease_owner LIKE ?"
        )
        with closing(sqlite3.connect(self._folder / "data" / "skillspace.db", timeout=10)) as base:
            child.send_signal(signal.SIGKILL)
            child.communicate()
            start_s = time.monotonic()
            had_work = False
            while base.execute(query, (f"%:{child.pid}",)).fetchone()[0]:
                had_work = True
                assert time.monotonic() - start_s < 30, "nobody took over"
                time.sleep(0.005)
            if had_work:
                self.takeovers_s.append(time.monotonic() - start_s)


class Verdict(NamedTuple):
    """What the check counted, and every breach of a promise that it found."""

    accepted: int
    cut_short: int
    run_again: int
    breaches: list[str]


def check(folder: Path) -> Verdict:
    """Compare what the processes were promised and saw with what the database holds."""
    accepted = {line["id"] for line in read_notes(folder, "*.accepted")}
    with closing(sqlite3.connect(folder / "data" / "skillspace.db")) as base:
        base.row_factory = sqlite3.Row
        tasks = {row["id"]: row for row in base.execute("SELECT * FROM tasks")}
        logs = {row["task_id"]: row for row in base.execute("SELECT * FROM event_logs")}
        events: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for row in base.execute("SELECT * FROM task_events ORDER BY task_id, seq"):
            payload = msgspec.json.decode(row["payload"])
            said = payload.get("text", "") if row["type"] == "answer" else ""
            events[row["task_id"]].append((row["seq"], row["type"], said))
        answers: dict[str, list[sqlite3.Row]] = defaultdict(list)
        for row in base.execute("SELECT * FROM messages WHERE role = 'assistant'"):
            answers[row["task_id"]].append(row)
        integrity = base.execute("PRAGMA integrity_check").fetchone()[0]
    breaches = [] if integrity == "ok" else [integrity]
    breaches += [f"{task_id}: accepted and lost" for task_id in accepted - tasks.keys()]
    for task_id, task in tasks.items():
        found = _check_task(task, logs.get(task_id), events[task_id], answers[task_id])
        breaches += [f"{task_id}: {breach}" for breach in found]
    seen: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in read_notes(folder, "*.seen"):
        seen[(line["reader"], line["id"])].append(line)
    for (reader, task_id), lines in seen.items():
        found = _check_reader(lines, events[task_id])
        breaches += [f"{task_id} as {reader} saw it: {breach}" for breach in found]
    return Verdict(
        accepted=len(accepted),
        cut_short=sum(log[-1][1] == "interrupted" for log in events.values() if log),
        run_again=sum(task["deaths"] > 0 and task["state"] == "SUCCESS" for task in tasks.values()),
        breaches=breaches,
    )


def _check_task(
    task: sqlite3.Row,
    log: sqlite3.Row | None,
    events: list[tuple[int, str, str]],
    answers: list[sqlite3.Row],
) -> list[str]:
    """Look at one task, its log and its answer."""
    text = "".join(said for _, _, said in events)
    last = [seq for seq, type_, _ in events if type_ in TERMINAL_TYPES]
    kind = events[-1][1] if events else ""
    expected = {"SUCCESS": ("finish",), "REVOKED": ("cancelled",), "FAILURE": ("interrupted",)}
    rules = {
        f"is {task['state']}, which is no end": task["state"] in ENDED,
        f"ended in {kind}": kind in expected.get(task["state"], ()),
        f"last events at {last} of {len(events)}": last == [len(events)],
        "seqs have holes": [seq for seq, _, _ in events] == list(range(1, len(events) + 1)),
        "log and head differ": log is not None
        and (log["head_seq"], log["is_closed"]) == (len(events), 1),
        f"{len(answers)} answers": len(answers) == 1,
        "the stored answer is not what readers join": [row["text"] for row in answers] == [text],
        "the answer still waits": all(row["status"] != "pending" for row in answers),
        "died too often": task["deaths"] < 3 or task["state"] != "SUCCESS",
    }
    return [breach for breach, holds in rules.items() if not holds]


def _check_reader(lines: list[dict[str, Any]], events: list[tuple[int, str, str]]) -> list[str]:
    """Look at what one reader saw of one task, cut off and resumed."""
    text = "".join(said for _, _, said in events)
    seqs = [line["seq"] for line in lines]
    joined = "".join(line["text"] for line in lines if line["type"] == "answer")
    rules = {
        f"seqs {seqs}": seqs == sorted(set(seqs)),
        f"joined {joined!r}, stored {text!r}": joined == text,
        "saw no end": bool(lines) and lines[-1]["type"] in TERMINAL_TYPES,
        "saw two ends": sum(line["type"] in TERMINAL_TYPES for line in lines) == 1,
    }
    return [breach for breach, holds in rules.items() if not holds]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
