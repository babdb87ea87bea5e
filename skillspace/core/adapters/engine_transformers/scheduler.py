"""The engine's one thread: loads the model, then steps every row in turn.

Owned by `TransformersEngine`. Rows beyond the limit wait; a row that is cancelled is dropped
before its next step; a thread without rows sleeps on a condition and uses no CPU.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol

from skillspace.core.adapters.engine_transformers.loading import LoadedModel
from skillspace.core.adapters.engine_transformers.row import Row
from skillspace.core.errors import EngineUnavailable
from skillspace.core.text import t


class Stepping(Protocol):
    """Takes each row one step further."""

    def step(self, rows: Sequence[Row]) -> Iterator[tuple[Row, int | EngineUnavailable | None]]:
        """Yield rows with their next token, their error, or None while a prompt is read."""
        ...


class Scheduler:
    """A thread with the rows it works on.

    Args:
        load: Makes the model; runs in the thread.
        stepping: Makes the stepping for it.
        limit_rows: Rows worked on at once.
    """

    def __init__(
        self,
        load: Callable[[], LoadedModel],
        stepping: Callable[[LoadedModel], Stepping],
        limit_rows: int,
    ) -> None:
        self._load = load
        self._make_stepping = stepping
        self._limit_rows = limit_rows
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []
        self._changed = threading.Condition()
        self._is_closing = False
        self.loaded: Future[LoadedModel] = Future()
        """The model once it is there, or why it is not."""
        self._thread = threading.Thread(target=self._run, name="skillspace-engine", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def add(self, row: Row) -> None:
        """Work on a row as soon as there is room.

        Raises:
            EngineUnavailable: The engine was closed.
        """
        with self._changed:
            if self._is_closing:
                raise closed_error()
            self._waiting.append(row)
            self._changed.notify()

    def close(self) -> None:
        """End the thread after the step it is in, and every row with an error; blocks."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            loaded = self._load()
            stepping = self._make_stepping(loaded)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the model
            self.loaded.set_exception(error)
            return
        self.loaded.set_result(loaded)
        while self._take_rows():
            for row, token in stepping.step(self._rows):
                if isinstance(token, EngineUnavailable):
                    row.fail(token)
                elif token is not None:
                    _accept(row, token)
                if self._is_closing:
                    break
        for row in (*self._rows, *self._waiting):
            row.fail(closed_error())
        self._rows.clear()
        self._waiting.clear()

    def _take_rows(self) -> bool:
        """Drop rows that have ended, take new ones, sleep without any; False to end the thread."""
        with self._changed:
            while not self._is_closing:
                self._rows = [row for row in self._rows if _is_alive(row)]
                while self._waiting and len(self._rows) < self._limit_rows:
                    row = self._waiting.popleft()
                    if _is_alive(row):
                        self._rows.append(row)
                if self._rows:
                    return True
                self._changed.wait()
        return False


def _accept(row: Row, token: int) -> None:
    """Give a row its token; a token it cannot take ends that row, and not the thread."""
    try:
        row.accept(token)
    except Exception as error:  # noqa: BLE001 - a tokenizer may raise anything; other rows go on
        reason = f"{type(error).__name__}: {error}"
        failure = EngineUnavailable(t("The model failed: {reason}", reason=reason))
        failure.__cause__ = error
        row.fail(failure)


def _is_alive(row: Row) -> bool:
    return not (row.is_done or row.is_cancelled)


def closed_error() -> EngineUnavailable:
    """Say that the engine was closed while it was needed."""
    return EngineUnavailable(t("The engine was closed."))
