"""The ways an answer can look: rendered on a terminal, plain text, JSON.

Chosen by `cli.chat` and fed by `cli.answer`. Each turns events into text for stdout and
writes nothing itself. Rich is imported by the rendered view alone, when it draws.
"""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from skillspace.cli.clean import SafeStream, safe_json, safe_line
from skillspace.cli.output import DIM, cut, paint
from skillspace.cli.painter import Painter
from skillspace.cli.streams import Streams
from skillspace.core.events import ANSWER, FINISH, PROGRESS, STATUS, THINKING, Event
from skillspace.core.text import t
from skillspace.core.values import Json

if TYPE_CHECKING:
    from skillspace.cli.markdown import StreamingMarkdown
    from skillspace.core.chat.values import Exchange

SILENCE_S: Final = 1.0
"""How long nothing may happen before the person is told what is waited for."""
SMALLEST: Final = (20, 4)


class PlainView:
    """The answer as it is, cleaned, for pipes, files and simple terminals."""

    is_immediate = True

    def __init__(self) -> None:
        self._clean = SafeStream()
        self._pending = ""
        self._ended_line = True
        self._has_text = False

    def add(self, event: Event) -> None:
        """Take answer text; pass over everything else."""
        if event.type == ANSWER:
            self._pending += self._clean.feed(event.text)

    def draw(self, *, is_last: bool) -> str:
        """Return the new text; at the end a newline, if the answer has none."""
        text = self._pending + (self._clean.finish() if is_last else "")
        self._pending = ""
        if not self._has_text:
            text = text.lstrip("\n")
        if text:
            self._has_text = True
            self._ended_line = text.endswith("\n")
        return text if self._ended_line or not is_last else f"{text}\n"


class JsonLinesView:
    """Every event as one JSON object on a line of its own; the first says what was accepted."""

    is_immediate = True

    def __init__(self, exchange: "Exchange") -> None:
        accepted = Event(seq=0, type="accepted", payload=msgspec.to_builtins(exchange))
        self._lines = [accepted]

    def add(self, event: Event) -> None:
        """Take an event."""
        self._lines.append(event)

    def draw(self, *, is_last: bool) -> str:
        """Return the new lines."""
        lines, self._lines = self._lines, []
        return "".join(f"{safe_json(msgspec.json.encode(event).decode())}\n" for event in lines)


class JsonView:
    """One JSON object when all is said."""

    is_immediate = True

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._texts: dict[str, list[str]] = {ANSWER: [], THINKING: []}
        self._last: Event | None = None

    def add(self, event: Event) -> None:
        """Take an event."""
        if event.type in self._texts:
            self._texts[event.type].append(event.text)
        elif event.is_terminal:
            self._last = event

    def draw(self, *, is_last: bool) -> str:
        """Return nothing, and the object at the end."""
        if not is_last:
            return ""
        last = self._last or Event(seq=0, type="interrupted")
        told: dict[str, Json] = {
            "status": "complete" if last.type == FINISH else last.type,
            "answer": "".join(self._texts[ANSWER]),
            "thinking": "".join(self._texts[THINKING]),
            "task_id": self._exchange.task_id,
            "session_id": self._exchange.session_id,
            "message_id": self._exchange.answer_id,
            "model": last.payload.get("model"),
            "finish_reason": last.payload.get("finish_reason"),
            "usage": last.payload.get("usage"),
        }
        encoded = msgspec.json.format(msgspec.json.encode(told), indent=2)
        return safe_json(encoded.decode()) + "\n"


class RenderedView:
    """Markdown on a terminal, drawn in frames.

    Args:
        streams: For the terminal's size and colours.
        show_thinking: True shows what the model thinks, dimmed; False one line that says so.
        monotonic_s: A clock.
    """

    is_immediate = False

    def __init__(
        self,
        streams: Streams,
        *,
        show_thinking: bool,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = streams
        self._show_thinking = show_thinking
        self._monotonic_s = monotonic_s
        self._since_s = monotonic_s()
        self._waits_for = ""
        self._painter = Painter(terminal_size(streams)[0])
        self._markdown: StreamingMarkdown | None = None
        self._answer: list[str] = []
        self._thoughts = SafeStream()
        self._open_thought = ""
        self._has_thought = False
        self._has_answer = False

    def add(self, event: Event) -> None:
        """Take an event."""
        if event.type == ANSWER:
            self._answer.append(event.text)
        elif event.type == THINKING:
            if self._show_thinking:
                self._open_thought += self._thoughts.feed(event.text)
            if not self._has_thought:
                self._has_thought = True
                self._wait_for(t("thinking…"))
        elif event.type == STATUS:
            self._wait_for(safe_line(str(event.payload.get("text", ""))))
        elif event.type == PROGRESS:
            current, total = event.payload.get("current"), event.payload.get("total")
            self._wait_for(f"{current}/{total}")

    def draw(self, *, is_last: bool) -> str:
        """Return what makes the terminal show the answer as it is now."""
        columns, rows = terminal_size(self._streams)
        markdown = self._renderer(columns)
        text, self._answer = "".join(self._answer), []
        if not self._has_answer:
            text = text.lstrip("\n")
        settled, live = self._draw_thoughts(columns, is_over=bool(text) or is_last)
        if text:
            if self._has_thought and self._show_thinking and not self._has_answer:
                settled.append("")
            self._has_answer = True
            markdown.feed(text)
        if self._has_answer:
            frame = markdown.finish() if is_last else markdown.frame(max(1, rows - 1))
            settled += frame.settled
            live = frame.live
        elif not live and not is_last:
            live = self._indicator(columns)
        text = self._painter.paint(settled, live, columns)
        return text + self._painter.leave() if is_last else text

    def _renderer(self, columns: int) -> "StreamingMarkdown":
        # The last column stays free: writing there makes some terminals begin a new line.
        width = columns - 1
        if self._markdown is None:
            from skillspace.cli.markdown import StreamingMarkdown

            self._markdown = StreamingMarkdown(
                width, color=self._streams.color, environment=self._streams.environment
            )
        self._markdown.resize(width)
        return self._markdown

    def _wait_for(self, what: str) -> None:
        self._waits_for = what
        self._since_s = self._monotonic_s()

    def _indicator(self, columns: int) -> list[str]:
        """Return the line that says what is waited for, or none at first."""
        seconds = int(self._monotonic_s() - self._since_s)
        if not self._waits_for and seconds < SILENCE_S:
            return []
        line = f"{self._waits_for or t('waiting for the model…')} {seconds} s"
        return [paint(cut(line, columns - 1), DIM, self._streams.color)]

    def _draw_thoughts(self, columns: int, *, is_over: bool) -> tuple[list[str], list[str]]:
        if not self._show_thinking or self._has_answer:
            return [], []
        if is_over:
            self._open_thought = (self._open_thought + self._thoughts.finish()).rstrip()
        complete, newline, rest = self._open_thought.rpartition("\n")
        if is_over:
            complete, rest = self._open_thought, ""
        self._open_thought = rest
        settled = self._dim_lines(complete, columns) if complete or newline else []
        return settled, self._dim_lines(rest, columns)[-1:] if rest else []

    def _dim_lines(self, text: str, columns: int) -> list[str]:
        from skillspace.cli.markdown_blocks import wrap_plain

        return [
            paint(line, DIM, self._streams.color) if line else ""
            for line in wrap_plain(text, columns - 1)
        ]


def terminal_size(streams: Streams) -> tuple[int, int]:
    """Return the columns and rows of the terminal as they are now."""
    try:
        columns, rows = os.get_terminal_size(streams.out.fileno())
    except (OSError, ValueError):
        columns, rows = streams.width, streams.height
    return max(SMALLEST[0], columns), max(SMALLEST[1], rows)
