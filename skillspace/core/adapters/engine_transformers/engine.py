"""`TransformersEngine`: the asyncio side of a model in this process.

Opened by the composition root. The model is loaded on first use; torch and transformers are
imported then, in the engine's thread, and never before.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial

from skillspace.core.adapters.engine_transformers.loading import (
    EngineOptions,
    LoadedModel,
    load_model,
)
from skillspace.core.adapters.engine_transformers.outlet import Outlet
from skillspace.core.adapters.engine_transformers.row import Row
from skillspace.core.adapters.engine_transformers.scheduler import Scheduler, closed_error
from skillspace.core.adapters.engine_transformers.stepping import RowByRow
from skillspace.core.errors import InvalidInput, PromptTooLong
from skillspace.core.models.choice import ModelChoice
from skillspace.core.text import t
from skillspace.core.values import EngineInfo, GenerateRequest, Piece, PromptMessage, Sampling


class TransformersEngine:
    """Generates with a Hugging Face causal model on this machine's CPU or GPU.

    Args:
        choice: The model's folder and how it was chosen.
        threads: CPU threads of a step; 0 lets the machine decide.
        options: Device, number format and limits; None takes the defaults.
    """

    def __init__(
        self, choice: ModelChoice, *, threads: int = 0, options: EngineOptions | None = None
    ) -> None:
        self._choice = choice
        self._options = options or EngineOptions(threads=threads)
        self._scheduler: Scheduler | None = None
        self._is_closed = False

    async def describe(self) -> EngineInfo:
        """Say what the engine is; loads the model on first use.

        Raises:
            NotAModel, MissingExtra, EngineUnavailable: It cannot be loaded.
        """
        return (await self._loaded())[1].info

    async def count_tokens(self, messages: Sequence[PromptMessage]) -> int:
        """Count the tokens of these messages as the model reads them, answer cue included.

        Raises:
            InvalidInput: There is none, or the model's template refuses their order.
            NotAModel, MissingExtra, EngineUnavailable: The model cannot be loaded.
        """
        _, loaded = await self._loaded()
        return len(await asyncio.to_thread(loaded.prompts.encode, messages))

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Piece, None]:
        """Stream the answer; the last piece has a finish_reason and usage.

        Raises:
            InvalidInput: A sampling value is out of its range, or there is no message.
            PromptTooLong: The prompt leaves no room for one token of answer.
            NotAModel, MissingExtra, EngineUnavailable: The model cannot be loaded, or failed.
        """
        _check(request.sampling)
        scheduler, loaded = await self._loaded()
        prompt = await asyncio.to_thread(loaded.prompts.encode, request.messages)
        _check_length(len(prompt), loaded.info.context_tokens)
        outlet = Outlet()
        row = Row(loaded, request, prompt, outlet)
        scheduler.add(row)
        try:
            while True:
                piece = await outlet.take()
                yield piece
                if piece.finish_reason is not None:
                    return
        finally:
            row.cancel()

    async def close(self) -> None:
        """Stop all requests with an error and free the model; again does nothing."""
        self._is_closed = True
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            await asyncio.to_thread(scheduler.close)

    async def _loaded(self) -> tuple[Scheduler, LoadedModel]:
        """Wait for the model; a failure is raised to all who wait, and the next one tries again."""
        if self._is_closed:
            raise closed_error()
        if self._scheduler is None:
            options = self._options
            self._scheduler = Scheduler(
                partial(load_model, self._choice, options),
                partial(RowByRow, prefill_tokens=options.prefill_tokens),
                options.rows,
            )
            self._scheduler.start()
        scheduler = self._scheduler
        try:
            # Whoever is cancelled while waiting must not cancel the loading for the others.
            return scheduler, await asyncio.shield(asyncio.wrap_future(scheduler.loaded))
        except Exception:
            if self._scheduler is scheduler:
                self._scheduler = None
            raise


def _check(sampling: Sampling) -> None:
    """Refuse what no model can draw with."""
    wrong = {
        "temperature": not 0 <= sampling.temperature <= 2,
        "top_p": not 0 < sampling.top_p <= 1,
        "top_k": sampling.top_k < 0,
        "max_tokens": sampling.max_tokens is not None and sampling.max_tokens < 1,
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            value = getattr(sampling, name)
            raise InvalidInput(
                t("{name} cannot be {value}.", name=name, value=value),
                hint=t(
                    "Allowed are temperature 0 to 2, top_p above 0 up to 1, top_k from 0, "
                    "max_tokens from 1."
                ),
                name=name,
            )


def _check_length(prompt_tokens: int, context_tokens: int) -> None:
    if prompt_tokens >= context_tokens:
        raise PromptTooLong(
            t(
                "The prompt has {count} tokens and the model reads {context}, answer included.",
                count=prompt_tokens,
                context=context_tokens,
            ),
            hint=t("Shorten it, or choose a model with a longer context."),
            prompt_tokens=prompt_tokens,
            context_tokens=context_tokens,
        )
