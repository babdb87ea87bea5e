"""How fast the event log in SQL takes events, and how far its readers are behind.

    python -m bench.event_log [--url URL] [--events 40000] [--batch 64]

Prints events per second of one writer, then the lag of a reader in the same process and of one
in another process: from the moment an append was asked for to the moment a reader has it.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from skillspace.core.adapters.eventlog_sql import SqlEventLog
from skillspace.core.db.engine import create_database
from skillspace.core.db.migrate import upgrade
from skillspace.core.events import ANSWER, FINISH, Event

LAG_EVENTS = 300
PAUSE_S = 0.02


def figures(name: str, lags_s: list[float]) -> str:
    """Return the median, 99th percentile and worst of some lags, in ms."""
    ordered = sorted(lags_s)
    p99 = ordered[int(len(ordered) * 0.99)]
    return (
        f"{name}: median {statistics.median(ordered) * 1000:.2f} ms, "
        f"p99 {p99 * 1000:.1f} ms, worst {ordered[-1] * 1000:.1f} ms"
    )


async def append_all(log: SqlEventLog, count: int, batch: int) -> float:
    """Append events in batches and return how many a second went in."""
    task_id = str(uuid.uuid4())
    head = await log.begin(task_id, 1)
    start_s = time.perf_counter()
    while head < count:
        events = [
            Event(seq=seq, type=ANSWER, payload={"text": "a word "})
            for seq in range(head + 1, head + batch + 1)
        ]
        await log.append(task_id, 1, events)
        head += batch
    rate = head / (time.perf_counter() - start_s)
    await log.append(task_id, 1, [Event(seq=head + 1, type=FINISH)])
    return rate


async def write_slowly(log: SqlEventLog, task_id: str) -> None:
    """Append one event after the other, each saying when."""
    await log.begin(task_id, 1)
    for seq in range(1, LAG_EVENTS + 1):
        await asyncio.sleep(PAUSE_S)
        now_s = time.monotonic()
        await log.append(task_id, 1, [Event(seq=seq, type=ANSWER, payload={"at_s": now_s})])
    await log.append(task_id, 1, [Event(seq=LAG_EVENTS + 1, type=FINISH)])


async def read_lags(log: SqlEventLog, task_id: str) -> list[float]:
    """Follow a log and return how old each event was when it came."""
    lags_s: list[float] = []
    after = 0
    async with log.watch(task_id) as ear:
        while True:
            for event in await log.read(task_id, after):
                after = event.seq
                if event.is_terminal:
                    return lags_s
                at_s = event.payload["at_s"]
                assert isinstance(at_s, float)
                lags_s.append(time.monotonic() - at_s)
            await ear.wait(1.0)


async def main(url: str, count: int, batch: int) -> None:
    """Measure and print."""
    database = create_database(url)
    await upgrade(database)
    log = SqlEventLog(database)
    await append_all(log, count // 10, batch)
    for size in (batch, 1):
        rate = await append_all(log, count if size > 1 else count // 20, size)
        print(f"append in batches of {size}: {rate:,.0f} events/s")
    task_id = str(uuid.uuid4())
    writing = asyncio.create_task(write_slowly(log, task_id))
    await log.begin(task_id, 1)
    print(figures("reader in the same process", await read_lags(log, task_id)))
    await writing
    task_id = str(uuid.uuid4())
    command = [sys.executable, "-m", "bench.event_log", "--url", url, "--write", task_id]
    writer = await asyncio.create_subprocess_exec(*command)
    print(figures("reader in another process", await read_lags(log, task_id)))
    await writer.wait()
    await database.close()


async def write_for_another(url: str, task_id: str) -> None:
    """Be the other process."""
    database = create_database(url)
    await write_slowly(SqlEventLog(database), task_id)
    await database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="")
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--write", default="")
    given = parser.parse_args()
    if given.write:
        asyncio.run(write_for_another(given.url, given.write))
    else:
        with tempfile.TemporaryDirectory() as folder:
            url = given.url or f"sqlite:///{Path(folder) / 'bench.db'}"
            asyncio.run(main(url, given.events, given.batch))
