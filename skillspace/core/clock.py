"""Time, passed in wherever it is needed, so that a test can hold it still."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one people read, one that never jumps."""

    def now(self) -> datetime:
        """Return the moment in UTC, for rows and messages; may jump when somebody sets it."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that only grow, for leases and timeouts."""
        ...


class SystemClock:
    """The computer's clocks."""

    def now(self) -> datetime:
        """Return the moment in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()
