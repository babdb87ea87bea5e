"""Follows an answer while it is written and shows it, until its last event.

Called by `cli.chat` and `cli.repl` with an accepted exchange. Ctrl-C cancels the generation
and waits for its terminal event, so what is shown is what is kept; of an exchange that is not
to be kept nothing is left. Never decides what is asked; how an answer looks is the view's
business (`cli.views`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from skillspace.cli.clean import safe_line
from skillspace.cli.run import on_interrupt
from skillspace.cli.streams import Streams
from skillspace.core.errors import Conflict, NotFound, SkillSpaceError
from skillspace.core.events import CANCELLED, STATUS, Event
from skillspace.core.tasks.values import TaskFailure

if TYPE_CHECKING:
    from skillspace.core.app import SkillSpace
    from skillspace.core.chat.values import Exchange

FRAME_S: Final = 1 / 12
"""Seconds between two frames at least."""
FRAME_SHARE: Final = 25
"""A frame may take one part in this many of the time; a costly one is followed by a pause."""
LONGEST_PAUSE_S: Final = 1.0


def pause_after_s(took_s: float) -> float:
    """Return how long to wait after a frame that took this long to work out."""
    return min(LONGEST_PAUSE_S, max(FRAME_S, took_s * FRAME_SHARE))


class AnswerView(Protocol):
    """Turns events into text for stdout.

    Attributes:
        is_immediate: Each event is shown as it comes; False shows frames at a steady pace.
    """

    is_immediate: bool

    def add(self, event: Event) -> None:
        """Take the next event."""
        ...

    def draw(self, *, is_last: bool) -> str:
        """Return what to write now; with `is_last` all that is left."""
        ...


class Ending(NamedTuple):
    """How an answer ended.

    Args:
        event: The terminal event.
        was_stopped: Ctrl-C asked for the end.
        reader_left: Nobody reads stdout any more.
        notices: What the person should know besides the answer.
    """

    event: Event
    was_stopped: bool
    reader_left: bool
    notices: tuple[str, ...]

    @property
    def error(self) -> SkillSpaceError | None:
        """What went wrong, as the class its code names; None if nothing did, or we stopped it."""
        if self.event.type == CANCELLED and (self.was_stopped or self.reader_left):
            return None
        failure = TaskFailure.told_by(self.event)
        return None if failure is None else failure.as_error()


async def show_exchange(
    space: "SkillSpace", streams: Streams, exchange: "Exchange", view: AnswerView
) -> Ending:
    """Follow an exchange to its terminal event and show it.

    Ctrl-C, or a reader of stdout that went away, cancels the generation; what there is by
    then is kept with the conversation. An unsaved exchange is forgotten, however this ends.

    Args:
        space: The open space.
        streams: The answer goes to stdout.
        exchange: As `ChatService` accepted it.
        view: How to show it.
    """
    try:
        return await _show(space, streams, exchange, view)
    finally:
        if exchange.session_id is None:
            await _forget(space, exchange.task_id)


async def _show(
    space: "SkillSpace", streams: Streams, exchange: "Exchange", view: AnswerView
) -> Ending:
    stop = _Stop(space, exchange.task_id)
    screen = _Screen(streams, view, stop.ask_for_reader)
    notices: list[str] = []
    last: Event | None = None
    with on_interrupt(stop.ask):
        async with (
            screen.painting(),
            contextlib.aclosing(space.tasks.follow(space.actor, exchange.task_id)) as events,
        ):
            async for event in events:
                last = event
                if event.type == STATUS and "dropped" in event.payload:
                    notices.append(safe_line(str(event.payload.get("text", ""))))
                view.add(event)
                if view.is_immediate:
                    await screen.draw()
        await screen.draw(is_last=True)
        await stop.wait()
    assert last is not None, "a log ends with a terminal event"
    return Ending(last, stop.was_asked, screen.reader_left, tuple(notices))


async def _forget(space: "SkillSpace", task_id: str) -> None:
    """Remove what an unsaved exchange left; one that still runs is ended first."""
    # Somebody else may have removed it meanwhile.
    with contextlib.suppress(NotFound):
        try:
            await space.tasks.forget(space.actor, task_id)
        except Conflict:
            with contextlib.suppress(Conflict):
                await space.tasks.cancel(space.actor, task_id)
            async with contextlib.aclosing(space.tasks.follow(space.actor, task_id)) as events:
                async for _ in events:
                    pass
            await space.tasks.forget(space.actor, task_id)


class _Stop:
    """The wish that a generation ends, told to its task once."""

    def __init__(self, space: "SkillSpace", task_id: str) -> None:
        self.was_asked = False
        self._space = space
        self._task_id = task_id
        self._cancelling: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Wish it because the person pressed Ctrl-C."""
        self.was_asked = True
        self.ask_for_reader()

    def ask_for_reader(self) -> None:
        """Wish it because nobody reads the answer."""
        if self._cancelling is None:
            self._cancelling = asyncio.create_task(self._cancel(), name=f"cancel {self._task_id}")

    async def wait(self) -> None:
        """Wait until the wish, if there was one, is told."""
        if self._cancelling is not None:
            await self._cancelling

    async def _cancel(self) -> None:
        # It may have ended while the key was pressed.
        with contextlib.suppress(Conflict):
            await self._space.tasks.cancel(self._space.actor, self._task_id)


class _Screen:
    """Writes what a view draws, one piece at a time, off the event loop.

    *Why a thread*: a pager or a stopped terminal may not read for minutes, and the process
    that shows an answer is often the one that generates it.
    """

    def __init__(self, streams: Streams, view: AnswerView, on_closed: Callable[[], None]) -> None:
        self.reader_left = False
        self._streams = streams
        self._view = view
        self._on_closed = on_closed
        self._turn = asyncio.Lock()
        self._done = asyncio.Event()

    async def draw(self, *, is_last: bool = False) -> float:
        """Write what there is to show, and return how many seconds it took to work that out."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            text = self._view.draw(is_last=is_last)
            took_s = loop.time() - began_s
            if text and not self.reader_left:
                try:
                    await asyncio.to_thread(self._write, text)
                except BrokenPipeError:
                    self.reader_left = True
                    self._on_closed()
        return took_s

    @contextlib.asynccontextmanager
    async def painting(self) -> AsyncIterator[None]:
        """Draw frames at a steady pace while this block runs, if the view wants frames."""
        if self._view.is_immediate:
            yield
            return
        painter = asyncio.create_task(self._paint(), name="answer frames")
        try:
            yield
        finally:
            self._done.set()
            await painter

    async def _paint(self) -> None:
        pause_s = FRAME_S
        while not self._done.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), pause_s)
                return
            took_s = await self.draw()
            pause_s = pause_after_s(took_s)

    def _write(self, text: str) -> None:
        self._streams.write(text)
        self._streams.out.flush()
