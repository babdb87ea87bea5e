"""Who may write a task: claims, fences and endings, on all three databases."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from skillspace.core.db.engine import Database, create_database
from skillspace.core.db.tables import outbox as outbox_table
from skillspace.core.db.tables import tasks
from skillspace.core.tasks import leases, outbox
from skillspace.core.tasks.values import Claim, Outcome
from tests.spaces import add_user

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HOUR = timedelta(hours=1)
KINDS = ("work",)


def lease(owner: str = "one") -> leases.Lease:
    """Return a lease for a minute."""
    return leases.Lease(owner=owner, until=NOW + timedelta(minutes=1))


async def waiting_task(database: Database, state: str = "PENDING", at: datetime = NOW) -> str:
    """Write a task that waits, with its hint."""
    user = await add_user(database, f"user-{uuid.uuid4()}")
    task_id = str(uuid.uuid4())
    async with database.write() as connection:
        await connection.execute(
            insert(tasks).values(
                id=task_id,
                kind="work",
                queue="default",
                owner_id=user.user_id,
                state=state,
                payload={"n": 1},
                created_at=NOW,
                available_at=at,
            )
        )
        await outbox.add(connection, "default", task_id, NOW)
    return task_id


async def take(database: Database, task_id: str, owner: str = "one") -> Claim | None:
    """Claim a task now."""
    return await leases.claim(database, task_id, KINDS, lease(owner), NOW)


async def row_of(database: Database, task_id: str) -> object:
    """Return a task's row."""
    async with database.read() as connection:
        return (await connection.execute(select(tasks).where(tasks.c.id == task_id))).one()


async def end(database: Database, claim: Claim) -> bool:
    """End a task in success."""
    async with database.write() as connection:
        outcome = Outcome(state="SUCCESS", event="finish")
        return await leases.finish(connection, claim, outcome, NOW)


async def test_one_of_many_claimers_wins(database: Database, database_url: str) -> None:
    """Two processes that claim one task at once get one claim between them."""
    other = create_database(database_url)
    try:
        task_id = await waiting_task(database)
        claims = await asyncio.gather(
            *(take(where, task_id, str(n)) for n, where in enumerate((database, other) * 3))
        )
    finally:
        await other.close()
    won = [claim for claim in claims if claim is not None]
    assert [(claim.fence, claim.attempt, claim.payload) for claim in won] == [(1, 1, {"n": 1})]


async def test_a_claim_takes_the_hint_away(database: Database) -> None:
    """In the transaction of the claim, so that a rolled-back claim keeps it."""
    task_id = await waiting_task(database)
    assert await take(database, task_id) is not None
    async with database.read() as connection:
        assert (await connection.execute(select(outbox_table))).all() == []


async def test_a_clock_that_was_set_back_holds_nothing_up(database: Database) -> None:
    """What is PENDING is claimed though its time lies ahead; a RETRY waits for its time."""
    pending = await waiting_task(database, at=NOW + HOUR)
    retry = await waiting_task(database, "RETRY", at=NOW + HOUR)
    due = await waiting_task(database, "RETRY", at=NOW - HOUR)
    assert await take(database, pending) is not None
    assert await take(database, retry) is None
    assert await take(database, due) is not None


async def test_a_seized_task_is_closed_to_its_old_writer(database: Database) -> None:
    """After a takeover the old claim can neither end, release nor report anything."""
    task_id = await waiting_task(database)
    old = await take(database, task_id, "old")
    assert old is not None
    row = await row_of(database, task_id)
    async with database.write() as connection:
        new = await leases.seize(connection, row, lease("new"))
    assert new is not None
    assert new.fence == old.fence + 1
    assert not await end(database, old)
    assert not await leases.record_progress(database, old, {"current": 1}, None)
    async with database.write() as connection:
        assert not await leases.release(connection, old, "PENDING", NOW)
    assert await end(database, new)
    assert not await end(database, new)


async def test_one_of_many_rescuers_wins(database: Database, database_url: str) -> None:
    """Processes that find one task abandoned at once count one death and make one claim."""
    other = create_database(database_url)
    task_id = await waiting_task(database)
    await take(database, task_id)
    row = await row_of(database, task_id)

    async def seize(where: Database) -> Claim | None:
        async with where.write() as connection:
            return await leases.seize(connection, row, lease("rescuer"))

    try:
        claims = await asyncio.gather(*(seize(where) for where in (database, other) * 3))
    finally:
        await other.close()
    assert sum(claim is not None for claim in claims) == 1
    assert (await row_of(database, task_id)).deaths == 1  # type: ignore[attr-defined]  # a row


async def test_a_heartbeat_makes_an_old_look_worthless(database: Database) -> None:
    """A rescuer whose look is older than the last heartbeat gets nothing."""
    task_id = await waiting_task(database)
    await take(database, task_id)
    row = await row_of(database, task_id)
    later = leases.Lease(owner="one", until=NOW + HOUR)
    await leases.renew(database, [task_id], later)
    async with database.write() as connection:
        assert await leases.seize(connection, row, lease("rescuer")) is None


async def test_a_wish_to_cancel_is_not_lost_in_a_release(database: Database) -> None:
    """A task that somebody wants cancelled cannot go back to where nobody would claim it."""
    task_id = await waiting_task(database)
    claim = await take(database, task_id)
    assert claim is not None
    async with database.write() as connection:
        await connection.execute(
            tasks.update().where(tasks.c.id == task_id).values(cancel_requested_at=NOW)
        )
    async with database.write() as connection:
        assert not await leases.release(connection, claim, "RETRY", NOW)
    assert [standing.is_unwanted for standing in await leases.standings(database, [task_id])] == [
        True
    ]


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "REVOKED", "STARTED"])
async def test_only_what_waits_is_claimed(database: Database, state: str) -> None:
    """Ended and running tasks are nobody's to claim, nor are kinds of another version."""
    task_id = await waiting_task(database, state)
    assert await take(database, task_id) is None
    waiting = await waiting_task(database)
    assert await leases.claim(database, waiting, ("other",), lease(), NOW) is None
