"""What each view writes for a list of events."""

import io

from skillspace.cli.streams import Streams
from skillspace.cli.views import PlainView, RenderedView
from skillspace.core.events import Event
from tests.cli.conftest import Terminal
from tests.cli.test_chat import OUR_CODES


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def event(kind: str, text: str = "") -> Event:
    """Return an event with a text."""
    return Event(seq=1, type=kind, payload={"text": text})


def rendered(clock: HandClock, *, show_thinking: bool = False) -> RenderedView:
    """Return a view on a terminal of 40 columns without colours."""
    environment = {"TERM": "xterm", "NO_COLOR": "1"}
    streams = Streams(io.StringIO(), Terminal(), Terminal(), environment, width=40)
    return RenderedView(streams, show_thinking=show_thinking, monotonic_s=clock)


def shown(text: str) -> str:
    """Return a text without codes."""
    return OUR_CODES.sub("", text).replace("\r", "")


def test_plain_text_comes_as_it_is_said() -> None:
    """Each piece is written when it comes; the first line is never empty, the last one ends."""
    view = PlainView()
    written = []
    for kind, text in (
        ("thinking", "hm"),
        ("answer", "\n\nHel"),
        ("status", "x"),
        ("answer", "lo"),
    ):
        view.add(event(kind, text))
        written.append(view.draw(is_last=False))
    assert written == ["", "Hel", "", "lo"]
    assert view.draw(is_last=True) == "\n"


def test_plain_text_without_an_answer_is_nothing() -> None:
    """No answer leaves stdout empty, without a newline."""
    assert PlainView().draw(is_last=True) == ""


def test_waiting_is_told_after_a_while() -> None:
    """Nothing is said at first; after a second one line says what is waited for, and counts."""
    clock = HandClock()
    view = rendered(clock)
    assert view.draw(is_last=False) == ""
    clock.now_s = 2.5
    assert shown(view.draw(is_last=False)) == "waiting for the model… 2 s\n"
    assert view.draw(is_last=False) == ""
    view.add(event("status", "loading\x1b[2J"))
    assert shown(view.draw(is_last=False)) == "loading 0 s\n"


def test_thinking_is_one_line_until_the_answer_comes() -> None:
    """Hidden thinking shows its seconds; the answer takes the line's place."""
    clock = HandClock()
    view = rendered(clock)
    view.add(event("thinking", "secret thought"))
    clock.now_s = 3.2
    assert shown(view.draw(is_last=False)) == "thinking… 3 s\n"
    view.add(event("answer", "Yes."))
    text = view.draw(is_last=True)
    assert "\x1b[1A" in text
    assert shown(text) == "Yes.\n"


def test_shown_thinking_stands_above_the_answer() -> None:
    """Thinking on request is wrapped and stays, with an empty line before the answer."""
    view = rendered(HandClock(), show_thinking=True)
    view.add(event("thinking", "first line\nsecond"))
    assert shown(view.draw(is_last=False)) == "first line\nsecond\n"
    view.add(event("thinking", " line"))
    view.add(event("answer", "Yes."))
    assert shown(view.draw(is_last=True)).endswith("second line\n\nYes.\n")


def test_thinking_without_an_answer_is_not_lost() -> None:
    """Thinking that was cut off is shown to its end when it is shown at all."""
    view = rendered(HandClock(), show_thinking=True)
    view.add(event("thinking", "unfinished \x1b]0;thou"))
    view.add(event("thinking", "ght\x07end"))
    assert shown(view.draw(is_last=True)) == "unfinished end\n"
