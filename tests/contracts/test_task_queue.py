"""The contract of the TaskQueue port, on every adapter."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from skillspace.core.adapters.queue_local import LocalQueue
from skillspace.core.ports import TaskQueue


@pytest.fixture(params=["local"])
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[TaskQueue]:
    """Yield each adapter in turn, closed afterwards."""
    adapter = LocalQueue()
    yield adapter
    await adapter.close()


async def take(queue: TaskQueue, count: int) -> list[str]:
    """Consume this many hints."""
    taken: list[str] = []
    async with asyncio.timeout(20):
        async for task_id in queue.consume():
            taken.append(task_id)
            if len(taken) == count:
                break
    return taken


async def test_hints_come_in_order(queue: TaskQueue) -> None:
    """What was offered first is given first, whether somebody waits already or not."""
    waiting = asyncio.create_task(take(queue, 3))
    await asyncio.sleep(0)
    for task_id in ("a", "b", "c"):
        await queue.publish("default", task_id)
    assert await waiting == ["a", "b", "c"]
    await queue.publish("default", "d")
    assert await take(queue, 1) == ["d"]


async def test_each_hint_goes_to_one_consumer(queue: TaskQueue) -> None:
    """Two consumers share the hints."""
    both = asyncio.gather(take(queue, 2), take(queue, 2))
    for task_id in ("a", "b", "c", "d"):
        await queue.publish("default", task_id)
    first, second = await both
    assert sorted([*first, *second]) == ["a", "b", "c", "d"]


async def test_a_hint_may_be_given_again_once_it_was_taken(queue: TaskQueue) -> None:
    """A sweep offers a waiting task again and again until the row says otherwise."""
    await queue.publish("default", "a")
    assert await take(queue, 1) == ["a"]
    await queue.publish("default", "a")
    assert await take(queue, 1) == ["a"]


async def test_closing_ends_every_consumer(queue: TaskQueue) -> None:
    """Consumers that wait, and those that come later, end; later offers go nowhere."""
    consumers = [asyncio.create_task(take(queue, 1)) for _ in range(3)]
    await asyncio.sleep(0)
    await queue.close()
    assert await asyncio.gather(*consumers) == [[], [], []]
    await queue.publish("default", "late")
    assert await take(queue, 1) == []


async def test_a_hint_waits_in_the_local_queue_once() -> None:
    """Offering what already waits adds nothing, so sweeps do not pile up."""
    queue = LocalQueue()
    for _ in range(5):
        await queue.publish("default", "a")
    await queue.publish("default", "b")
    await queue.close()
    assert [task_id async for task_id in queue.consume()] == ["a", "b"]
