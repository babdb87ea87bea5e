"""Fitting a conversation into a context: whole messages, newest first, prompt always."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillspace.core.chat.prompt import fit_prompt
from skillspace.core.errors import InvalidInput, PromptTooLong
from skillspace.core.values import PromptMessage
from tests.spaces import ScriptedEngine


def turns(*sizes: int) -> list[PromptMessage]:
    """Return turns of these many characters, which are tokens, beginning with the user."""
    return [
        PromptMessage(role="assistant" if number % 2 else "user", text="x" * size)
        for number, size in enumerate(sizes)
    ]


async def test_a_short_conversation_is_sent_whole() -> None:
    """Nothing is dropped, the system text comes first."""
    fitted = await fit_prompt(ScriptedEngine(context_tokens=100), "sys", turns(5, 5, 5), None)
    assert fitted.dropped == 0
    assert fitted.prompt_tokens == 18
    assert [message.role for message in fitted.messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=11).filter(lambda s: len(s) % 2 == 1),
    context=st.integers(50, 120),
    wanted=st.none() | st.integers(1, 200),
)
async def test_what_is_left_fits_and_is_whole(
    sizes: list[int], context: int, wanted: int | None
) -> None:
    """The newest turns stay, uncut and in order, from a user's turn on; an answer has room."""
    given_turns = turns(*sizes)
    engine = ScriptedEngine(context_tokens=context)
    fitted = await fit_prompt(engine, "s", given_turns, wanted)
    kept = list(fitted.messages[1:])
    assert kept == given_turns[fitted.dropped :]
    assert kept[0].role == "user"
    assert fitted.prompt_tokens == 1 + sum(len(turn.text) for turn in kept) < context


async def test_a_prompt_that_leaves_no_room_is_refused() -> None:
    """With both figures, so that a person knows by how much."""
    with pytest.raises(PromptTooLong) as caught:
        await fit_prompt(ScriptedEngine(context_tokens=10), "", turns(3, 3, 10), 5)
    assert caught.value.evidence == {"prompt_tokens": 10, "context_tokens": 10}


class StrictEngine(ScriptedEngine):
    """A model whose template refuses a conversation that does not begin with the user."""

    async def count_tokens(self, messages: Sequence[PromptMessage]) -> int:
        """Count characters."""
        if messages[0].role == "assistant":
            raise InvalidInput("the user begins")
        return await super().count_tokens(messages)


async def test_a_template_that_wants_the_user_first() -> None:
    """A long conversation is shortened for such a model too."""
    fitted = await fit_prompt(StrictEngine(context_tokens=50), "", turns(30, 30, 5), 5)
    assert fitted.dropped == 2
