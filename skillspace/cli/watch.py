"""Shows a task's events as they come, and ends as the task ended.

Called by `skillspace task watch` and `retry`. Answer text goes to stdout, all else to stderr,
so that a pipe gets the answer alone. Knows no service: it is given the events.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from skillspace.cli.clean import SafeStream, safe_line
from skillspace.cli.output import DIM, paint, show_json_line
from skillspace.core.events import ANSWER, PROGRESS, RETRY, STATUS, THINKING, Event
from skillspace.core.tasks.values import TaskFailure
from skillspace.core.text import t

if TYPE_CHECKING:
    from skillspace.cli.streams import Streams

BAR_COLUMNS: Final = 30
_CLEAR_LINE: Final = "\r\x1b[K"


async def watch(
    streams: "Streams",
    events: AsyncIterator[Event],
    *,
    as_json: bool = False,
    show_thinking: bool = False,
) -> None:
    """Show events up to the terminal one.

    Args:
        streams: Where to.
        events: As `TaskService.follow` yields them.
        as_json: One JSON object per event on stdout, and nothing else.
        show_thinking: Thinking text goes to stderr; else it is left out.

    Raises:
        SkillSpaceError: The task did not succeed; of the class that its error's code names,
            `Cancelled` for one that was cancelled.
    """
    screen = _Screen(streams, show_thinking=show_thinking)
    last: Event | None = None
    try:
        async for event in events:
            last = event
            if as_json:
                show_json_line(streams, event)
            else:
                screen.show(event)
    finally:
        screen.finish()
    if last is not None:
        raise_unless_finished(last)


def raise_unless_finished(last: Event) -> None:
    """Raise what a task's last event tells of; nothing for a success.

    Raises:
        SkillSpaceError: Of the class that the event's code names.
    """
    failure = TaskFailure.told_by(last)
    if failure is not None:
        raise failure.as_error()


class _Screen:
    """What a person sees of a log: text as it streams, progress in one line, the rest as talk."""

    def __init__(self, streams: "Streams", *, show_thinking: bool) -> None:
        self._streams = streams
        self._show_thinking = show_thinking
        self._answer = SafeStream()
        self._thinking = SafeStream()
        self._open_line: str | None = None
        self._has_bar = False

    def show(self, event: Event) -> None:
        """Show one event; a type from a newer writer is passed over."""
        if event.type == ANSWER:
            self._write_answer(self._answer.feed(event.text))
        elif event.type == THINKING and self._show_thinking:
            self._write_thinking(self._thinking.feed(event.text))
        elif event.type == PROGRESS:
            self._show_progress(event.payload)
        elif event.type == STATUS:
            self._say(safe_line(str(event.payload.get("text", ""))))
        elif event.type == RETRY:
            why = safe_line(str(event.payload.get("message", "")))
            delay = event.payload.get("delay_s", 0)
            self._say(t("{why} It is tried again in {delay} s.", why=why, delay=delay))

    def finish(self) -> None:
        """Write what is held back and leave the cursor at the beginning of a line."""
        self._write_thinking(self._thinking.finish())
        self._write_answer(self._answer.finish())
        self._end_line()

    def _write_answer(self, text: str) -> None:
        if not text:
            return
        self._begin("out")
        self._streams.write(text)
        self._streams.out.flush()
        self._open_line = None if text.endswith("\n") else "out"

    def _write_thinking(self, text: str) -> None:
        if not text or self._streams.quiet:
            return
        self._begin("err")
        self._streams.err.write(paint(text, DIM, self._streams.err_color))
        self._streams.err.flush()
        self._open_line = None if text.endswith("\n") else "err"

    def _show_progress(self, payload: dict[str, Any]) -> None:
        current, total = payload.get("current", 0), payload.get("total", 0)
        if self._streams.quiet:
            return
        if not self._streams.err_is_tty:
            self._say(f"{current}/{total}")
            return
        share = min(1.0, current / total) if total else 0.0
        done = round(share * BAR_COLUMNS)
        bar = paint("━" * done, "32", self._streams.err_color)
        bar += paint("━" * (BAR_COLUMNS - done), DIM, self._streams.err_color)
        if not self._has_bar:
            self._end_line()
        self._streams.err.write(f"{_CLEAR_LINE}{bar} {current}/{total}")
        self._streams.err.flush()
        self._has_bar, self._open_line = True, "err"

    def _say(self, text: str) -> None:
        self._end_line()
        self._streams.say(text)

    def _begin(self, place: str) -> None:
        """End the line if it belongs to something else."""
        if self._has_bar or self._open_line not in (None, place):
            self._end_line()

    def _end_line(self) -> None:
        if self._open_line is not None:
            stream = self._streams.out if self._open_line == "out" else self._streams.err
            stream.write("\n")
            stream.flush()
        self._open_line, self._has_bar = None, False
