"""From messages to the tokens a model reads, by its own chat template.

Called by the engine for every request, from any thread. A message is only ever text: what it
holds cannot open or close a turn.
"""

import re
import threading
from collections.abc import Sequence
from typing import Any, Final

from skillspace.core.adapters.engine_transformers.pieces import (
    ByteDetokenizer,
    TokenBytes,
    WindowDetokenizer,
    is_byte_level,
)
from skillspace.core.errors import InvalidInput
from skillspace.core.text import t
from skillspace.core.values import PromptMessage

_SPEAKERS: Final = {"system": "System", "user": "User", "assistant": "Assistant"}
PLAIN_STOP: Final = "\nUser:"
"""Ends an answer of a model without a chat template: it begins to write the next turn."""


class PromptFormat:
    """How one model wants its turns.

    A model without a chat template gets `Speaker: text` paragraphs.

    Args:
        tokenizer: Of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # A fast tokenizer must not be used from two threads at once.
        self._lock = threading.Lock()
        self.has_template = bool(getattr(tokenizer, "chat_template", None))
        self.stops: tuple[str, ...] = () if self.has_template else (PLAIN_STOP,)
        added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        special = sorted({*tokenizer.all_special_tokens, *added} - {""}, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, special))) if special else None
        self._token_bytes = TokenBytes(tokenizer) if is_byte_level(tokenizer) else None

    @property
    def limit_tokens(self) -> int | None:
        """How much the tokenizer says its model reads; None when it does not say."""
        return getattr(self._tokenizer, "model_max_length", None)

    def encode(self, messages: Sequence[PromptMessage]) -> list[int]:
        """Return the tokens of these messages with the cue for the answer at their end.

        Raises:
            InvalidInput: There is no message, or the template refuses their order.
        """
        if not messages:
            raise InvalidInput(t("There is no message to answer."))
        with self._lock:
            text = self._render([self._plain(message) for message in messages])
            # A template writes every special token itself; a plain prompt may need a first one.
            encoded = self._tokenizer(text, add_special_tokens=not self.has_template, verbose=False)
        return list(encoded["input_ids"])

    def detokenizer(self) -> ByteDetokenizer | WindowDetokenizer:
        """Return a fresh decoder for one answer."""
        if self._token_bytes is not None:
            return ByteDetokenizer(self._token_bytes)
        return WindowDetokenizer(self.decode)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of these tokens, special ones left out."""
        with self._lock:
            text: str = self._tokenizer.decode(
                list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        return text

    def _plain(self, message: PromptMessage) -> PromptMessage:
        """Break up special tokens in a message's text: `<|im_end|>` becomes `< |im_end|>`."""
        # A lone surrogate, which cannot be encoded, becomes a question mark.
        text = message.text.encode("utf-8", "replace").decode("utf-8")
        if self._special is not None:
            text = self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)
        return PromptMessage(role=message.role, text=text)

    def _render(self, messages: list[PromptMessage]) -> str:
        if not self.has_template:
            turns = [f"{_SPEAKERS[message.role]}: {message.text}" for message in messages]
            return "\n\n".join([*turns, "Assistant:"])
        from jinja2.exceptions import TemplateError

        try:
            return self._apply(messages)
        except TemplateError as error:
            folded = _folded(messages)
            # System text alone asks nothing, so it does not become a question.
            if folded != messages and messages[-1].role != "system":
                try:
                    return self._apply(folded)
                except TemplateError:
                    pass
            raise InvalidInput(
                t("The model's chat template refuses these messages: {reason}", reason=error)
            ) from error

    def _apply(self, messages: Sequence[PromptMessage]) -> str:
        turns = [{"role": message.role, "content": message.text} for message in messages]
        text: str = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        return text


def _folded(messages: Sequence[PromptMessage]) -> list[PromptMessage]:
    """Write system text into the user's turns and join neighbouring turns of one role.

    Why: there are templates that know no system role, and templates that insist on turns that
    alternate, which a prompt without an answer breaks.
    """
    turns: list[PromptMessage] = []
    for message in messages:
        role = "user" if message.role == "system" else message.role
        text = message.text
        if turns and turns[-1].role == role:
            text = f"{turns.pop().text}\n\n{text}"
        turns.append(PromptMessage(role=role, text=text))
    return turns
