"""Events: joining and coalescing keep every byte."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from skillspace.core.events import (
    ANSWER,
    MERGED_LIMIT_BYTES,
    PAYLOAD_LIMIT_BYTES,
    PROGRESS,
    STATUS,
    TERMINAL_TYPES,
    THINKING,
    Event,
    coalesce,
    join_text,
)

WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LOG = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([ANSWER, THINKING]), WORD),
        st.tuples(st.sampled_from([PROGRESS, STATUS]), st.just("")),
    ),
    max_size=30,
).map(
    lambda lines: [
        Event(seq=seq, type=type_, payload={"text": text} if text else {})
        for seq, (type_, text) in enumerate(lines, 1)
    ]
)


@given(events=LOG, limit=st.integers(1, 40))
def test_coalescing_changes_no_text_and_no_order(events: list[Event], limit: int) -> None:
    """Merged events join to the same texts; others stay, in their place; the last seq is kept."""
    merged = list(coalesce(events, limit))
    for type_ in (ANSWER, THINKING):
        assert join_text(merged, type_) == join_text(events, type_)
    others = [event for event in events if event.type not in (ANSWER, THINKING)]
    assert [event for event in merged if event.type not in (ANSWER, THINKING)] == others
    assert [event.seq for event in merged] == sorted({event.seq for event in merged})
    assert [event.seq for event in merged[-1:]] == [event.seq for event in events[-1:]]


@given(events=LOG, limit=st.integers(1, 40), cut=st.integers(0, 30))
def test_a_reader_goes_on_from_a_merged_event(events: list[Event], limit: int, cut: int) -> None:
    """Whoever leaves after any merged event and reads from its seq misses and repeats nothing."""
    merged = list(coalesce(events, limit))[: cut + 1]
    after = merged[-1].seq if merged else 0
    rest = [event for event in events if event.seq > after]
    for type_ in (ANSWER, THINKING):
        assert join_text([*merged, *rest], type_) == join_text(events, type_)


def test_a_merged_text_always_fits_an_event() -> None:
    """Even of characters that JSON writes six times as long, a merged text fits the limit."""
    events = [Event(seq=seq, type=ANSWER, payload={"text": "\x01"}) for seq in range(1, 20_000)]
    merged = list(coalesce(events))
    assert len(merged) == 3
    assert max(len(event.text.encode()) for event in merged) == MERGED_LIMIT_BYTES
    assert all(len(msgspec.json.encode(e.payload)) <= PAYLOAD_LIMIT_BYTES for e in merged)


def test_an_event_of_a_newer_writer_can_be_read() -> None:
    """An unknown type is neither text nor the end, and is passed on as it is."""
    event = Event(seq=1, type="hologram", payload={"text": "x"})
    assert list(coalesce([event, event])) == [event, event]
    assert not event.is_terminal
    assert event.text == ""


def test_there_are_four_ends() -> None:
    """A log ends in one of four ways."""
    assert {"finish", "error", "cancelled", "interrupted"} == TERMINAL_TYPES
