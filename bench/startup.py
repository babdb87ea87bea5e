"""How long the command line takes to answer, beside bare Python and a bare Typer program.

    python -m bench.startup [--runs 15] [--llm /path/to/llm]

Interleaves all commands in one run and prints the median CPU time (user + system, in ms) and
wall time of each, and the peak resident memory in MB, which the kernel never reports below that of
this program itself. The space is a fresh one with 50 sessions, so that completions have values
to find.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE_TYPER = """
import typer
app = typer.Typer()
@app.command()
def main(name: str = "x") -> None:
    print(name)
app()
"""


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Run one command and return its CPU ms, wall ms and peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, used = os.wait4(process.pid, 0)
    wall_ms = (time.perf_counter() - start) * 1000
    return (used.ru_utime + used.ru_stime) * 1000, wall_ms, used.ru_maxrss / 1024


async def fill(home: str) -> None:
    """Make a space with 50 sessions."""
    from datetime import UTC, datetime

    from sqlalchemy import insert

    from skillspace.core.app import open_app
    from skillspace.core.db.tables import chat_sessions
    from skillspace.core.settings_sources import load_settings

    settings = load_settings({"SKILLSPACE_HOME": home}).settings
    async with open_app(settings) as space, space.database.write() as connection:
        now = datetime.now(UTC)
        row = {"owner_id": space.actor.user_id, "system": "", "created_at": now, "updated_at": now}
        rows = [{**row, "title": f"Conversation {number}"} for number in range(50)]
        await connection.execute(insert(chat_sessions), rows)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--llm", help="an installed `llm`, as a peer")
    options = parser.parse_args()
    bin_ = Path(sys.executable).parent
    skillspace = str(bin_ / "skillspace")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(folder))
        bare = Path(folder, "bare.py")
        bare.write_text(BARE_TYPER)
        environment = {**os.environ, "SKILLSPACE_HOME": folder, "NO_COLOR": "1"}
        words = {"COMP_WORDS": "skillspace\nsession\nshow\n", "COMP_CWORD": "3"}
        completing = {**environment, "_SKILLSPACE_COMPLETE": "bash", **words}
        cases: dict[str, tuple[list[str], dict[str, str]]] = {
            "python -c pass": ([sys.executable, "-c", "pass"], environment),
            "bare Typer": ([sys.executable, str(bare)], environment),
            "bare Typer --help": ([sys.executable, str(bare), "--help"], environment),
            "skillspace --version": ([skillspace, "--version"], environment),
            "skillspace --help": ([skillspace, "--help"], environment),
            "complete `session show `": ([skillspace], completing),
            "skillspace config get language": (
                [skillspace, "config", "get", "language"],
                environment,
            ),
            "skillspace session list": ([skillspace, "session", "list"], environment),
            "skillspace task list": ([skillspace, "task", "list"], environment),
            "skillspace model list": ([skillspace, "model", "list"], environment),
        }
        # Everything of a chat but the model: it is refused before one is loaded.
        cases["skillspace chat, no model"] = (
            [skillspace, "chat", "--model", folder, "hi"],
            environment,
        )
        if options.llm:
            cases["llm --version"] = ([options.llm, "--version"], environment)
        results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in cases}
        for _ in range(options.runs):
            for name, (command, variables) in cases.items():
                results[name].append(measure(command, variables))
    print(f"{'command':<32} {'cpu ms':>8} {'wall ms':>8} {'MB':>6}")
    figures = {}
    for name, values in results.items():
        cpu, wall, memory = (statistics.median(column) for column in zip(*values, strict=True))
        figures[name] = {"cpu_ms": round(cpu, 1), "wall_ms": round(wall, 1), "mb": round(memory)}
        print(f"{name:<32} {cpu:8.1f} {wall:8.1f} {memory:6.0f}")
    print(json.dumps(figures), file=sys.stderr)


if __name__ == "__main__":
    main()
