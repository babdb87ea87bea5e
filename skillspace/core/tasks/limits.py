"""The figures that durable work runs by, as the settings give them."""

from skillspace.core.values import Value


class TaskLimits(Value, frozen=True, kw_only=True):
    """How many tasks at once, and how long things last.

    Args:
        concurrency: Tasks that run at once in this process.
        lease_s: Seconds without a heartbeat after which a running task counts as abandoned,
            where its process cannot be asked.
        heartbeat_s: Seconds between two heartbeats; well under the lease.
        log_ttl_s: Seconds that the event log of an ended task stays replayable.
    """

    concurrency: int = 8
    lease_s: float = 15.0
    heartbeat_s: float = 5.0
    log_ttl_s: float = 7 * 24 * 3600.0
