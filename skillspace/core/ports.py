"""The ports: what the core needs from the outside, each docstring a contract.

`tests/contracts/` runs one suite per port against every adapter. Only `core/app.py` names
adapters.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from skillspace.core.events import Event
from skillspace.core.values import EngineInfo, GenerateRequest, Piece, PromptMessage


class EventLog(Protocol):
    """A numbered, append-only log per task: one writer at a time, any number of readers."""

    is_durable: bool
    """True when an appended event survives kill -9 of every process of ours."""

    async def begin(self, task_id: str, fence: int) -> int:
        """Open the log for the writer with this fence and return the last seq in it (0: empty).

        From now on writers with a lower fence are refused.

        Raises:
            LeaseLost: A writer with a higher fence was here.
        """
        ...

    async def append(self, task_id: str, fence: int, events: Sequence[Event]) -> None:
        """Append events whose seqs follow the head without a gap, all of them or none.

        Events at or below the head are taken as repeats and skipped, so a batch may be sent
        again. Nothing follows a terminal event: a later event is refused.

        Raises:
            LeaseLost: A writer with a higher fence was here.
            Conflict: The log is closed, or the first new seq does not follow the head.
            InvalidInput: A payload is over 64 KiB.
        """
        ...

    async def read(self, task_id: str, after: int = 0, limit: int = 500) -> Sequence[Event]:
        """Return up to `limit` events with seq > after, in order; empty when there are none.

        Raises:
            NotReplayable: The log was trimmed or expired beyond `after`.
        """
        ...

    async def head(self, task_id: str) -> tuple[int, bool]:
        """Return the last seq (0: no log) and whether the log is closed by a terminal event."""
        ...

    def watch(self, task_id: str) -> AbstractAsyncContextManager["Watch"]:
        """Watch a log: register before reading, so that nothing falls between read and wait."""
        ...

    async def expire(self, task_id: str) -> None:
        """Forget the events of a closed log; reading it raises NotReplayable from now on."""
        ...

    async def remove(self, task_id: str) -> None:
        """Forget a closed log as if it had never been; a log that is open stays."""
        ...

    async def close(self) -> None:
        """Release what the adapter holds."""
        ...


class Watch(Protocol):
    """A reader's ear at a log. A wake-up carries no payload: it only says "read again"."""

    async def wait(self, timeout_s: float) -> None:
        """Return when something may have been appended, or after `timeout_s` seconds."""
        ...


class TaskQueue(Protocol):
    """Hands task ids to whoever runs them. A hint may be lost or doubled; the row decides."""

    async def publish(self, queue: str, task_id: str) -> None:
        """Offer a task id. Returns once the queue holds it; raises Unavailable if it cannot."""
        ...

    def consume(self) -> AsyncIterator[str]:
        """Yield offered ids until the queue is closed."""
        ...

    async def close(self) -> None:
        """End every `consume`, release what the adapter holds."""
        ...


class Engine(Protocol):
    """Turns messages into text, many requests at once."""

    async def describe(self) -> EngineInfo:
        """Say what the engine is; loads the model if it must be loaded to know.

        Raises:
            EngineUnavailable, NotAModel, MissingExtra: It cannot be loaded or reached.
        """
        ...

    async def count_tokens(self, messages: Sequence[PromptMessage]) -> int:
        """Count the tokens of these messages as the model would read them, answer cue included."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        """Stream the answer; the last piece has a finish_reason and usage.

        A piece never ends inside a character. Closing the iterator (`aclose`) or cancelling
        the task that reads it stops the work within one step of the model.

        Raises:
            PromptTooLong: The prompt leaves no room for one token of answer.
            EngineUnavailable: The engine failed; what was streamed before stands.
        """
        ...

    async def close(self) -> None:
        """Stop all requests and free the model."""
        ...
