"""One answer in the making: its prompt, cache, randomness and text.

Made in the event loop, then touched by the engine's thread alone, but for `cancel`.
"""

from collections.abc import Sequence
from typing import Any

from skillspace.core.adapters.engine_transformers.loading import LoadedModel
from skillspace.core.adapters.engine_transformers.outlet import Outlet
from skillspace.core.adapters.engine_transformers.pieces import StopFinder
from skillspace.core.adapters.engine_transformers.sampling import Draw
from skillspace.core.values import FinishReason, GenerateRequest, Usage


class Row:
    """The state of one answer.

    Args:
        loaded: The model that answers.
        request: How tokens are drawn, and what ends the answer.
        prompt: Its tokens.
        outlet: Where text goes.

    Attributes:
        cache: Keys and values of what was read so far; made and used by the stepping.
        unread: Tokens that the model has not read yet: the prompt, later the last token.
        is_done: Whether the answer has ended, in whatever way.
    """

    def __init__(
        self, loaded: LoadedModel, request: GenerateRequest, prompt: Sequence[int], outlet: Outlet
    ) -> None:
        sampling = request.sampling
        room = loaded.info.context_tokens - len(prompt)
        self.draw = Draw(sampling, loaded.repetition_penalty)
        self.cache: Any = None
        self.seen: Any = None
        self.unread = list(prompt)
        self.is_done = False
        self.is_cancelled = False
        self._prompt_tokens = len(prompt)
        self._limit_tokens = room if sampling.max_tokens is None else min(room, sampling.max_tokens)
        self._end_tokens = loaded.end_tokens
        self._detokenizer = loaded.prompts.detokenizer()
        self._stops = StopFinder((*sampling.stop, *loaded.prompts.stops))
        self._outlet = outlet
        self._tokens = 0

    def cancel(self) -> None:
        """Ask for an end; the next step leaves this row out. From any thread."""
        self.is_cancelled = True

    def accept(self, token: int) -> None:
        """Take the token that was drawn: show its text, and end where the answer ends."""
        if token in self._end_tokens:
            self._finish("stop", self._stops.feed(self._detokenizer.close()))
            return
        self._tokens += 1
        text, is_stopped = self._stops.feed(self._detokenizer.feed(token))
        if not is_stopped and self._tokens >= self._limit_tokens:
            rest, is_stopped = self._stops.feed(self._detokenizer.close())
            self._outlet.put(text, 1)
            self._finish("length", (rest, is_stopped))
            return
        self._outlet.put(text, 1)
        if is_stopped:
            self._finish("stop", ("", True))
        self.unread = [token]

    def fail(self, error: BaseException) -> None:
        """End with an error; the text so far stands."""
        self._release()
        self._outlet.fail(error)

    def _finish(self, reason: FinishReason, last: tuple[str, bool]) -> None:
        """End the answer with its last text, unless a stop string was found in it."""
        text, is_stopped = last
        self._outlet.put(text if is_stopped else text + self._stops.close(), 0)
        usage = Usage(prompt_tokens=self._prompt_tokens, completion_tokens=self._tokens)
        self._release()
        self._outlet.finish("stop" if is_stopped else reason, usage)

    def _release(self) -> None:
        self.is_done = True
        self.cache = self.seen = None
