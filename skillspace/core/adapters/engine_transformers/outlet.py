"""Carries what the engine's thread writes to the asyncio task that reads it.

The thread never waits: text that is not fetched yet is joined, and it is bounded by the length
of the answer. The event loop is woken at most once per fetch.
"""

import asyncio
import threading

from skillspace.core.values import FinishReason, Piece, Usage


class Outlet:
    """The way out of one answer; made in the reader's event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._lock = threading.Lock()
        self._text: list[str] = []
        self._tokens = 0
        self._finish: tuple[FinishReason, Usage] | None = None
        self._error: BaseException | None = None
        self._is_woken = False

    def put(self, text: str, tokens: int) -> None:
        """Add text; called by the engine's thread."""
        with self._lock:
            self._text.append(text)
            self._tokens += tokens
        if text:
            self._wake()

    def finish(self, reason: FinishReason, usage: Usage) -> None:
        """End the answer; called by the engine's thread."""
        self._finish = (reason, usage)
        self._wake()

    def fail(self, error: BaseException) -> None:
        """End the answer with an error, after the text so far; from any thread."""
        self._error = error
        self._wake()

    async def take(self) -> Piece:
        """Wait for more and return all there is; the last piece has a finish_reason.

        Raises:
            BaseException: What `fail` was given, once the text before it was taken.
        """
        while True:
            await self._ready.wait()
            self._ready.clear()
            with self._lock:
                self._is_woken = False
                text, tokens = "".join(self._text), self._tokens
                self._text, self._tokens = [], 0
                finish, error = self._finish, self._error
            if finish:
                reason, usage = finish
                return Piece(text=text, tokens=tokens, finish_reason=reason, usage=usage)
            if error is not None:
                if not text:
                    raise error
                self._ready.set()
            if text:
                return Piece(text=text, tokens=tokens)

    def _wake(self) -> None:
        with self._lock:
            if self._is_woken:
                return
            self._is_woken = True
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:
            # The reader's loop has ended, and the reader with it.
            return
