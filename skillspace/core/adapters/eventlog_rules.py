"""What every event log refuses, in one place; used by the `eventlog_*` adapters."""

from collections.abc import Sequence

import msgspec

from skillspace.core.errors import Conflict, InvalidInput, LeaseLost, NotReplayable
from skillspace.core.events import PAYLOAD_LIMIT_BYTES, Event
from skillspace.core.text import t


def new_events(task_id: str, events: Sequence[Event], head: int) -> list[Event]:
    """Return the events above the head, after checking that they follow it without a gap.

    Raises:
        Conflict: The first new event does not follow the head, or one follows a terminal one.
        InvalidInput: A payload is over the limit.
    """
    fresh = [event for event in events if event.seq > head]
    for expected, event in enumerate(fresh, head + 1):
        if event.seq != expected:
            raise Conflict(
                t("Event {seq} does not follow event {head}.", seq=event.seq, head=expected - 1),
                task_id=task_id,
            )
        if len(msgspec.json.encode(event.payload)) > PAYLOAD_LIMIT_BYTES:
            raise InvalidInput(
                t("An event's payload may have {limit} bytes.", limit=PAYLOAD_LIMIT_BYTES),
                task_id=task_id,
            )
    if any(event.is_terminal for event in fresh[:-1]):
        raise closed(task_id)
    return fresh


def closed(task_id: str) -> Conflict:
    """Return the error for an event after the last one."""
    return Conflict(t("The event log of task {task} is closed.", task=task_id), task_id=task_id)


def lease_lost(task_id: str) -> LeaseLost:
    """Return the error for a writer whose place another one has taken."""
    return LeaseLost(t("Another process runs task {task} now.", task=task_id), task_id=task_id)


def not_replayable(task_id: str) -> NotReplayable:
    """Return the error for an offset that is gone."""
    return NotReplayable(
        t("The events of task {task} are no longer replayable.", task=task_id),
        hint=t("Its result is kept: skillspace task show {task}", task=task_id),
        task_id=task_id,
    )
