"""Claiming, keeping and ending tasks: every statement that changes who may write.

All of them compare before they set, so two processes may always try the same thing: one
wins, the other is told. Used by the runner, recovery and the service; never by a face.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, delete, func, or_, select, update

from skillspace.core.db.engine import Connection, Database
from skillspace.core.db.tables import outbox as hints
from skillspace.core.db.tables import tasks
from skillspace.core.tasks.values import RUNNING, WAITING, Claim, Outcome
from skillspace.core.values import Value

# Built once: making a statement costs as much as running it.
_ROW = select(tasks).where(tasks.c.id == bindparam("this"))
_TAKE_HINT = delete(hints).where(hints.c.task_id == bindparam("this"))
_CLAIM = (
    update(tasks)
    .where(
        tasks.c.id == bindparam("this"),
        tasks.c.kind.in_(bindparam("kinds", expanding=True)),
        tasks.c.state.in_(WAITING),
        or_(tasks.c.state == "PENDING", tasks.c.available_at <= bindparam("now")),
        tasks.c.cancel_requested_at.is_(None),
    )
    .values(
        state="STARTED",
        attempt=tasks.c.attempt + 1,
        fence=tasks.c.fence + 1,
        lease_owner=bindparam("owner"),
        lease_expires_at=bindparam("until"),
        started_at=func.coalesce(tasks.c.started_at, bindparam("now")),
    )
)


class Lease(Value, frozen=True, kw_only=True):
    """Which process may write, and until when without another heartbeat."""

    owner: str
    until: datetime


def claim_of(row: Any) -> Claim:
    """Read the claim that a row of `tasks` stands for."""
    return Claim(
        task_id=row.id,
        kind=row.kind,
        owner_id=row.owner_id,
        fence=row.fence,
        attempt=row.attempt,
        payload=row.payload,
    )


async def claim(
    database: Database, task_id: str, kinds: Sequence[str], lease: Lease, now: datetime
) -> Claim | None:
    """Take a waiting task for this process; None when it is taken, not due or has ended.

    A task of a kind that is not among `kinds` is left for a version that knows it. The clock
    holds back only a RETRY: what is PENDING may start whatever the clocks say.
    """

    def take(connection: sa.Connection) -> Claim | None:
        values = {"this": task_id, "kinds": list(kinds), "now": now}
        mine = {"owner": lease.owner, "until": lease.until}
        if connection.execute(_CLAIM, {**values, **mine}).rowcount != 1:
            return None
        connection.execute(_TAKE_HINT, {"this": task_id})
        return claim_of(connection.execute(_ROW, {"this": task_id}).one())

    # A claim that a power cut undoes leaves the task waiting, which is as good.
    async with database.write(durable=False) as connection:
        return await connection.run_sync(take)


async def seize(connection: Connection, row: Any, lease: Lease) -> Claim | None:
    """Take a task from a process that died; None when somebody else was faster.

    Args:
        connection: In a write transaction.
        row: The row as it was when its owner was found dead.
        lease: Who takes it, and until when.
    """
    result = await connection.execute(
        update(tasks)
        .where(
            tasks.c.id == row.id,
            tasks.c.fence == row.fence,
            tasks.c.state == row.state,
            tasks.c.lease_owner == row.lease_owner,
            tasks.c.lease_expires_at == row.lease_expires_at,
        )
        .values(
            fence=row.fence + 1,
            deaths=row.deaths + 1,
            lease_owner=lease.owner,
            lease_expires_at=lease.until,
        )
    )
    if result.rowcount != 1:
        return None
    return Claim(
        task_id=row.id,
        kind=row.kind,
        owner_id=row.owner_id,
        fence=row.fence + 1,
        attempt=row.attempt,
        payload=row.payload,
    )


async def renew(database: Database, task_ids: Sequence[str], lease: Lease) -> None:
    """Prolong the leases of the tasks that run in this process: its heartbeat."""
    async with database.write(durable=False) as connection:
        await connection.execute(
            update(tasks)
            .where(
                tasks.c.id.in_(task_ids),
                tasks.c.lease_owner == lease.owner,
                tasks.c.state.in_(RUNNING),
            )
            .values(lease_expires_at=lease.until)
        )


class Standing(Value, frozen=True, kw_only=True):
    """How a running task stands: its highest fence, and whether somebody wants it cancelled."""

    task_id: str
    fence: int
    is_unwanted: bool


async def standings(database: Database, task_ids: Sequence[str]) -> Sequence[Standing]:
    """Return how these tasks stand, so that their runner can stop what is no longer its own."""
    async with database.read() as connection:
        query = select(tasks.c.id, tasks.c.fence, tasks.c.cancel_requested_at)
        rows = (await connection.execute(query.where(tasks.c.id.in_(task_ids)))).all()
    return [
        Standing(task_id=row.id, fence=row.fence, is_unwanted=row.cancel_requested_at is not None)
        for row in rows
    ]


async def record_progress(
    database: Database, claim_: Claim, meta: dict[str, Any] | None, partial: dict[str, Any] | None
) -> bool:
    """Write progress or a checkpoint of the text so far; False when the lease is lost."""
    values: dict[str, Any] = (
        {"partial": partial} if meta is None else {"meta": meta, "state": "PROGRESS"}
    )
    async with database.write(durable=False) as connection:
        result = await connection.execute(_held(claim_).values(**values))
        return result.rowcount == 1


async def finish(connection: Connection, claim_: Claim, outcome: Outcome, now: datetime) -> bool:
    """Write a task's last state; False when this writer's lease is lost."""
    result = await connection.execute(
        _held(claim_).values(
            state=outcome.state,
            result=outcome.result,
            error=outcome.failure,
            partial=None,
            finished_at=now,
            lease_owner=None,
            lease_expires_at=None,
        )
    )
    return result.rowcount == 1


async def release(
    connection: Connection, claim_: Claim, state: str, available_at: datetime
) -> bool:
    """Give a task back to the queue as PENDING or RETRY.

    Returns:
        False when the lease is lost, or when somebody asked to cancel the task meanwhile: then
        nobody would ever claim it, so whoever holds it must end it.
    """
    result = await connection.execute(
        _held(claim_)
        .where(tasks.c.cancel_requested_at.is_(None))
        .values(state=state, available_at=available_at, lease_owner=None, lease_expires_at=None)
    )
    return result.rowcount == 1


def _held(claim_: Claim) -> Any:
    return update(tasks).where(
        tasks.c.id == claim_.task_id,
        tasks.c.fence == claim_.fence,
        tasks.c.state.in_(RUNNING),
    )
