"""Draws the next token of each row from the model's logits.

Called by a step of the engine, in its thread. Everything works on whole batches; a row's
randomness is one number it draws from its own generator, so no row depends on another.
"""

from typing import TYPE_CHECKING, Any, Final

from skillspace.core.values import Sampling

if TYPE_CHECKING:
    from torch import Tensor

_TOP_P_CANDIDATES: Final = 1024
"""Enough candidates for top_p almost always; a flatter distribution is sorted whole."""


class Draw:
    """How one row draws its tokens.

    Args:
        sampling: Temperature, top_p, top_k and seed.
        repetition_penalty: Divides the logits of tokens that were there before; 1 is none.
    """

    def __init__(self, sampling: Sampling, repetition_penalty: float = 1.0) -> None:
        import torch

        self.temperature = sampling.temperature
        self.top_p = sampling.top_p
        self.top_k = sampling.top_k
        self.repetition_penalty = repetition_penalty
        # On the CPU always: the same seed gives the same numbers on every device.
        self._generator = torch.Generator(device="cpu")
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed & 0xFFFF_FFFF_FFFF_FFFF)

    def number(self) -> float:
        """Return the next random number, in [0, 1)."""
        import torch

        return float(torch.rand((), generator=self._generator, dtype=torch.float64))


def penalise_repetition(logits: "Tensor", seen: "Tensor", penalty: float) -> "Tensor":
    """Make tokens that were there before less likely.

    Source: Keskar et al. 2019, section 4.1 (arXiv:1909.05858).

    Args:
        logits: [vocabulary] of one row.
        seen: [vocabulary], True for tokens of prompt and answer.
        penalty: Above 1 makes them less likely.
    """
    import torch

    lowered = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, lowered, logits)


def draw_tokens(logits: "Tensor", draws: list[Draw]) -> list[int]:
    """Return one token per row.

    Args:
        logits: [rows, vocabulary], any float format.
        draws: One per row.
    """
    import torch

    logits = logits.float()
    tokens: list[int] = torch.argmax(logits, dim=-1).tolist()
    drawn = [row for row, draw in enumerate(draws) if draw.temperature > 0]
    if drawn:
        picked = _sample(torch, logits[drawn], [draws[row] for row in drawn])
        for row, token in zip(drawn, picked, strict=True):
            tokens[row] = token
    return tokens


def _sample(torch: Any, logits: "Tensor", draws: list[Draw]) -> list[int]:
    """Keep the top_k likeliest, of those the top_p, and pick by inverse distribution."""

    def column(values: list[float]) -> "Tensor":
        return torch.tensor(values, dtype=torch.float64)[:, None]

    size = logits.shape[-1]
    scaled = logits / column([d.temperature for d in draws]).to(logits.device, logits.dtype)
    limits = [min(d.top_k or size, size) for d in draws]
    top_p = column([d.top_p for d in draws])
    width = max(limits)
    if width > _TOP_P_CANDIDATES and all(d.top_p < 1 for d in draws):
        width = _width_for_top_p(torch, scaled, top_p)
    values, tokens = torch.topk(scaled, min(width, size), dim=-1)
    # The few that are left are worked on where the generators are, in full precision.
    values, tokens = values.cpu().double(), tokens.cpu()
    places = torch.arange(values.shape[-1])[None, :]
    ends = torch.tensor(limits)[:, None]
    values = values.masked_fill(places >= ends, -torch.inf)
    mass = torch.logsumexp(values, dim=-1, keepdim=True)
    if width < max(limits):
        whole = torch.logsumexp(scaled.cpu().double(), dim=-1, keepdim=True)
        mass = torch.where(ends > width, whole, mass)
    probabilities = torch.exp(values - mass)
    before = torch.cumsum(probabilities, dim=-1) - probabilities
    kept = torch.where((before < top_p) | (places == 0), probabilities, 0.0)
    edges = torch.cumsum(kept, dim=-1)
    numbers = column([d.number() for d in draws]) * edges[:, -1:]
    picked = torch.searchsorted(edges, numbers, right=True).clamp(max=values.shape[-1] - 1)
    # Rounding at the upper edge must not pick a token that was cut away.
    last = (kept > 0).sum(dim=-1, keepdim=True) - 1
    chosen: list[int] = tokens.gather(1, torch.minimum(picked, last))[:, 0].tolist()
    return chosen


def _width_for_top_p(torch: Any, scaled: "Tensor", top_p: "Tensor") -> int:
    """Return how many candidates surely hold the top_p: 1024, or all of them."""
    size: int = scaled.shape[-1]
    few = torch.topk(scaled, _TOP_P_CANDIDATES, dim=-1).values
    share = torch.exp(torch.logsumexp(few, dim=-1) - torch.logsumexp(scaled, dim=-1))
    return _TOP_P_CANDIDATES if bool((share.cpu() > top_p[:, 0]).all()) else size
