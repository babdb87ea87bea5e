"""How far a download is, told from the threads of the hub library to whoever watches.

Called by `models.download`. Draws nothing; the faces do.
"""

import threading
from collections.abc import Callable
from typing import Any

from skillspace.core.values import Value


class DownloadProgress(Value, frozen=True, kw_only=True):
    """How far a download is.

    Args:
        done_bytes: On disk, earlier attempts included.
        total_bytes: Of all files that are needed.
    """

    done_bytes: int
    total_bytes: int


ProgressCallback = Callable[[DownloadProgress], None]


class Stopped(Exception):
    """Ends a download that is no longer wanted, from within its progress report."""


class Meter:
    """Counts the bytes of all files together; used by several threads at once.

    Args:
        total_bytes: Of all files.
        missing_bytes: Of them, not here yet.
        on_progress: Told after each block.
        stop: Once set, the next block raises `Stopped` in the thread that brings it.
    """

    def __init__(
        self,
        total_bytes: int,
        missing_bytes: int,
        on_progress: ProgressCallback | None,
        stop: threading.Event,
    ) -> None:
        self._total_bytes = total_bytes
        self._done_bytes = total_bytes - missing_bytes
        self._on_progress = on_progress
        self._stop = stop
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count a block; negative when the library takes one back."""
        if self._stop.is_set():
            raise Stopped
        with self._lock:
            self._done_bytes = min(self._total_bytes, self._done_bytes + count)
        self.report()

    def finish(self) -> None:
        """Count everything as here."""
        self._done_bytes = self._total_bytes
        self.report()

    def report(self) -> None:
        """Tell how far it is."""
        if self._on_progress is not None:
            self._on_progress(
                DownloadProgress(done_bytes=self._done_bytes, total_bytes=self._total_bytes)
            )


def bar_class(meter: Meter, *, counts_all: bool = False) -> type:
    """Return what the hub library takes for a progress bar: it counts bytes and draws nothing.

    Args:
        meter: Gets the bytes.
        counts_all: False for a whole snapshot, where the library has one bar for bytes written
            to disk; its others count files, and bytes that arrived, which are the same again.
    """

    class Bar:
        def __init__(self, *args: object, **options: Any) -> None:
            self.total = options.get("total") or 0
            self.n = 0
            self.format_dict: dict[str, object] = {}
            is_written = options.get("unit") == "B" and "ownload" not in options.get("desc", "")
            self._counts = counts_all or is_written

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: float | None = 1) -> None:
            self.n += int(count or 0)
            if self._counts:
                meter.add(int(count or 0))

        def _ignore(self, *_: object, **__: object) -> None:
            pass

        refresh = close = set_description = set_description_str = set_postfix_str = _ignore

    return Bar
