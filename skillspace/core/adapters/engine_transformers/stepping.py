"""One step of the model for each row, one row after the other.

Called by the scheduler, in the engine's thread. The scheduler needs no more of it than `step`:
a stepping that runs all rows in one batch can stand in its place.
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from skillspace.core.adapters.engine_transformers.loading import LoadedModel, out_of_memory
from skillspace.core.adapters.engine_transformers.row import Row
from skillspace.core.adapters.engine_transformers.sampling import (
    draw_tokens,
    penalise_repetition,
)
from skillspace.core.errors import EngineUnavailable
from skillspace.core.text import t

if TYPE_CHECKING:
    from torch import Tensor


class RowByRow:
    """Runs each row by itself, with a cache of its own.

    Args:
        loaded: The model.
        prefill_tokens: Of a prompt, read per step at most.
    """

    def __init__(self, loaded: LoadedModel, prefill_tokens: int) -> None:
        self._loaded = loaded
        self._prefill_tokens = prefill_tokens
        # Saves the logits of a whole prompt, which nobody reads; a few old models lack it.
        known = inspect.signature(loaded.model.forward).parameters
        self._only_last = {"logits_to_keep": 1} if "logits_to_keep" in known else {}

    def step(self, rows: Sequence[Row]) -> Iterator[tuple[Row, int | EngineUnavailable | None]]:
        """Yield each row with its next token; None while its prompt is being read.

        A row that fails is yielded with its error, and no other row notices. Rows that were
        cancelled meanwhile are left out.
        """
        import torch

        for row in rows:
            if row.is_cancelled:
                continue
            try:
                with torch.inference_mode():
                    logits = self._forward(row)
                    token = None if logits is None else self._draw(row, logits)
            except Exception as error:  # noqa: BLE001 - a model may raise anything; other rows go on
                yield row, self._explain(error)
                continue
            yield row, token

    def _forward(self, row: Row) -> "Tensor | None":
        """Read the next part of what is unread; return logits [vocabulary] after the last."""
        import torch
        from transformers import DynamicCache

        model = self._loaded.model
        if row.cache is None:
            row.cache = DynamicCache(config=model.config)
        part, row.unread = row.unread[: self._prefill_tokens], row.unread[self._prefill_tokens :]
        tokens = torch.tensor([part], device=model.device)
        output = model(
            input_ids=tokens, past_key_values=row.cache, use_cache=True, **self._only_last
        )
        logits = output.logits[0, -1]
        if row.draw.repetition_penalty != 1:
            if row.seen is None:
                row.seen = torch.zeros_like(logits, dtype=torch.bool)
            row.seen[tokens[0]] = True
        return None if row.unread else logits

    def _draw(self, row: Row, logits: "Tensor") -> int:
        if row.seen is not None:
            logits = penalise_repetition(logits.float(), row.seen, row.draw.repetition_penalty)
        return draw_tokens(logits[None], [row.draw])[0]

    def _explain(self, error: Exception) -> EngineUnavailable:
        """Say what a failed step means, and give the GPU its memory back if that is what it was."""
        known = out_of_memory(error)
        if known is None:
            reason = f"{type(error).__name__}: {error}"
            known = EngineUnavailable(t("The model failed: {reason}", reason=reason))
        elif self._loaded.model.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()
        known.__cause__ = error
        return known
