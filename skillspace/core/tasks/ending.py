"""Ends a task, always in this order: its text, its row with all effects, its terminal event.

Shared by the runner (work that ended here), recovery (work whose process died) and the
service (a task cancelled before it began). A crash between row and event is healed by
`close_from_row`, which anybody may call.
"""

import logging
from datetime import datetime

import msgspec
from sqlalchemy import delete, select

from skillspace.core.db.engine import Database
from skillspace.core.db.tables import tasks
from skillspace.core.errors import Conflict, SkillSpaceError
from skillspace.core.events import (
    ANSWER,
    CANCELLED,
    ERROR,
    FINISH,
    INTERRUPTED,
    PAYLOAD_LIMIT_BYTES,
    THINKING,
    Event,
)
from skillspace.core.ports import EventLog
from skillspace.core.tasks import leases, outbox
from skillspace.core.tasks.overtaken import persist
from skillspace.core.tasks.registry import Registry
from skillspace.core.tasks.values import ENDED, Claim, Outcome, TaskFailure
from skillspace.core.text import t
from skillspace.core.values import Json

_log = logging.getLogger(__name__)


def terminal_payload(outcome: Outcome) -> dict[str, Json]:
    """Return what the terminal event tells: the result, or why there is none.

    A result that is too large for an event is left out; the task's row has it.
    """
    payload: dict[str, Json] = dict(outcome.result or {})
    if len(msgspec.json.encode(payload)) > PAYLOAD_LIMIT_BYTES // 2:
        payload = {"is_too_large": True}
    if outcome.failure is not None:
        failure = outcome.failure
        payload |= {"code": failure.code, "message": failure.message, "hint": failure.hint}
    return payload


def cancelled(text: dict[str, str] | None = None) -> Outcome:
    """Return the end of a task that somebody asked to cancel.

    Args:
        text: All text in its log by event type; None leaves it to the caller.
    """
    failure = TaskFailure(code="cancelled", message=t("Cancelled; what was done is kept."))
    text = text or {}
    return Outcome(
        state="REVOKED",
        event=CANCELLED,
        answer=text.get(ANSWER, ""),
        thinking=text.get(THINKING, ""),
        failure=failure,
    )


async def end_row(
    database: Database, registry: Registry, claim: Claim, outcome: Outcome, now: datetime
) -> Outcome | None:
    """Write the last state and every effect of the end in one transaction.

    Why a defect in the effects does not stop the end: a task that could never end would be
    taken up by every process, and hang each of its readers.

    Returns:
        What was written: the outcome, or FAILURE when its effects could not be written. None
        when another process holds the task now; then nothing was written.
    """

    async def write(ended: Outcome, with_effects: bool) -> Outcome | None:
        async with database.write() as connection:
            if not await leases.finish(connection, claim, ended, now):
                return None
            await outbox.remove(connection, claim.task_id)
            if with_effects:
                await registry.get(claim.kind).settle(connection, claim, ended, now)
        return ended

    try:
        return await persist(lambda: write(outcome, claim.kind in registry))
    except SkillSpaceError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        _log.exception("the effects of task %s could not be written", claim.task_id)
        why = f"{type(error).__name__}: {error}"[:500]
        failure = TaskFailure(code="failed", message=t("The task failed: {why}", why=why))
        failed = Outcome(state="FAILURE", event=ERROR, failure=failure)
        return await persist(lambda: write(failed, with_effects=False))


async def close_from_row(database: Database, log: EventLog, task_id: str) -> bool:
    """Append the terminal event that a crash left out, as the ended row tells it.

    Returns:
        True when the log is closed now; False while the task has not ended.
    """
    async with database.read() as connection:
        row = (await connection.execute(select(tasks).where(tasks.c.id == task_id))).one_or_none()
    if row is None or row.state not in ENDED:
        return False
    failure = None if row.error is None else msgspec.convert(row.error, TaskFailure)
    outcome = Outcome(
        state=row.state, event=_terminal_type(row), result=row.result, failure=failure
    )
    _, is_closed = await log.head(task_id)
    if not is_closed:
        head = await persist(lambda: log.begin(task_id, row.fence))
        event = Event(seq=head + 1, type=outcome.event, payload=terminal_payload(outcome))
        try:
            await persist(lambda: log.append(task_id, row.fence, [event]))
        except Conflict:
            # Somebody else closed it between the two calls.
            return (await log.head(task_id))[1]
    return True


async def remove(database: Database, log: EventLog, task_id: str) -> None:
    """Remove an ended task and its log without a trace.

    Why the log goes first: of a crash between the two only a row stays, which is found again.
    """
    await log.remove(task_id)
    async with database.write() as connection:
        await outbox.remove(connection, task_id)
        await connection.execute(
            delete(tasks).where(tasks.c.id == task_id, tasks.c.state.in_(ENDED))
        )


def _terminal_type(row: object) -> str:
    state, error = getattr(row, "state"), getattr(row, "error")  # noqa: B009  # untyped row
    if state == "SUCCESS":
        return FINISH
    if state == "REVOKED":
        return CANCELLED
    return INTERRUPTED if error and error.get("code") == "interrupted" else ERROR
