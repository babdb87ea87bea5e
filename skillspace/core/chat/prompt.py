"""Fits a conversation into a model's context, by whole messages. Called by the chat job.

The system text and the newest message always stay; the oldest turns go first, and the caller
is told how many. Nothing is ever cut inside a message.
"""

from collections.abc import Sequence
from typing import Final

from skillspace.core.errors import PromptTooLong
from skillspace.core.ports import Engine
from skillspace.core.text import t
from skillspace.core.values import PromptMessage, Value

ANSWER_SHARE: Final = 4
"""A quarter of the context is kept for the answer when nobody says how long it may be."""
ANSWER_MOST_TOKENS: Final = 1024


class FittedPrompt(Value, frozen=True, kw_only=True):
    """What the model will read.

    Args:
        messages: System text first, if any; then turns in order.
        dropped: How many of the oldest turns were left out.
        prompt_tokens: Tokens of the messages, answer cue included.
    """

    messages: tuple[PromptMessage, ...]
    dropped: int
    prompt_tokens: int


async def fit_prompt(
    engine: Engine, system: str, turns: Sequence[PromptMessage], max_tokens: int | None
) -> FittedPrompt:
    """Choose the newest turns that fit beside the answer.

    Args:
        engine: Counts tokens and knows its context.
        system: Text for the system message; empty for none.
        turns: The conversation, oldest first; the last one is the prompt.
        max_tokens: Tokens wanted for the answer; None keeps up to a quarter of the context.

    Raises:
        PromptTooLong: The system text and the prompt alone leave no room for an answer.
    """
    context = (await engine.describe()).context_tokens
    share = min(context // ANSWER_SHARE, ANSWER_MOST_TOKENS)
    # A wish for a longer answer may push old turns out, but only so far.
    reserve = max(1, min(max_tokens if max_tokens is not None else share, context // 2))
    head = (PromptMessage(role="system", text=system),) if system else ()
    dropped, count = 0, await engine.count_tokens((*head, *turns))
    if count > context - reserve:
        # As the person's, because many templates refuse an answer that nobody asked for.
        alone = (PromptMessage(role="user", text=turn.text) for turn in turns[:-1])
        sizes = [await engine.count_tokens((turn,)) for turn in alone]
        excess = count - (context - reserve)
        while dropped < len(turns) - 1 and (excess > 0 or turns[dropped].role == "assistant"):
            excess -= sizes[dropped]
            dropped += 1
        # Counted alone, a message may have a few tokens more or fewer than in its place.
        count = await engine.count_tokens((*head, *turns[dropped:]))
        while dropped < len(turns) - 1 and (
            count > context - reserve or turns[dropped].role == "assistant"
        ):
            dropped += 1
            count = await engine.count_tokens((*head, *turns[dropped:]))
    if count >= context:
        raise PromptTooLong(
            t(
                "The prompt has {count} tokens and the model reads {context}, answer included.",
                count=count,
                context=context,
            ),
            hint=t("Shorten it, or choose a model with a longer context."),
            prompt_tokens=count,
            context_tokens=context,
        )
    return FittedPrompt(messages=(*head, *turns[dropped:]), dropped=dropped, prompt_tokens=count)
