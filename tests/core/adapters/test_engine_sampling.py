"""Drawing tokens: the cuts are where they are said to be, and rows do not meet."""

from collections import Counter
from typing import Any

import pytest
import torch

from skillspace.core.adapters.engine_transformers.sampling import (
    Draw,
    draw_tokens,
    penalise_repetition,
)
from skillspace.core.values import Sampling


def draw(**sampling: Any) -> Draw:
    """Return a draw with a seed."""
    return Draw(Sampling(**{"temperature": 1.0, "top_p": 1.0, "top_k": 0, "seed": 1, **sampling}))


def drawn(logits: torch.Tensor, how: Draw, count: int = 200) -> Counter[int]:
    """Draw many times from one row."""
    return Counter(draw_tokens(logits[None], [how])[0] for _ in range(count))


PROBABILITIES = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])
LOGITS = PROBABILITIES.log()


def test_temperature_zero_takes_the_likeliest() -> None:
    """Greedy draws nothing at random."""
    assert set(drawn(LOGITS, draw(temperature=0))) == {0}


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_keeps_k(k: int) -> None:
    """Only the k likeliest are ever drawn, and all of them are."""
    assert set(drawn(LOGITS, draw(top_k=k))) == set(range(k))


@pytest.mark.parametrize(("p", "kept"), [(0.01, 1), (0.5, 1), (0.6, 2), (0.76, 3), (0.99, 5)])
def test_top_p_keeps_the_smallest_set(p: float, kept: int) -> None:
    """The set just reaches p."""
    assert set(drawn(LOGITS, draw(top_p=p), 600)) == set(range(kept))


def test_frequencies_follow_the_model() -> None:
    """Without cuts tokens come as often as the model says; the seed makes this exact."""
    counts = drawn(LOGITS, draw(), 4000)
    for token, probability in enumerate(PROBABILITIES.tolist()):
        assert abs(counts[token] / 4000 - probability) < 0.03


def test_temperature_sharpens_and_flattens() -> None:
    """A low temperature prefers the likeliest more, a high one less."""
    cold, warm = drawn(LOGITS, draw(temperature=0.3), 500), drawn(LOGITS, draw(temperature=2), 500)
    assert cold[0] > drawn(LOGITS, draw(), 500)[0] > warm[0]


def test_rows_of_one_batch_do_not_meet() -> None:
    """A row draws the same alone and beside rows that draw otherwise."""
    settings: list[dict[str, Any]] = [
        {"top_k": 3},
        {"top_p": 0.6},
        {"temperature": 0},
        {"top_p": 0.9, "top_k": 4},
        {},
    ]
    torch.manual_seed(0)
    logits = torch.randn(len(settings), 3000) * 4
    alone = [draw(seed=n, **how) for n, how in enumerate(settings)]
    together = [draw(seed=n, **how) for n, how in enumerate(settings)]
    for _ in range(20):
        single = [draw_tokens(logits[n][None], [one])[0] for n, one in enumerate(alone)]
        assert draw_tokens(logits, together) == single


def test_a_large_vocabulary_with_top_p() -> None:
    """The short cut for large vocabularies keeps the same set as a full sort."""
    torch.manual_seed(1)
    logits = torch.randn(20_000) * 6
    order = torch.argsort(logits, descending=True)
    probabilities = torch.softmax(logits[order].double(), 0)
    kept = int((torch.cumsum(probabilities, 0) - probabilities < 0.7).sum())
    assert set(drawn(logits, draw(top_p=0.7))) <= set(order[:kept].tolist())


def test_a_flat_distribution_is_not_cut_short() -> None:
    """Where a thousand candidates do not hold top_p, all of them are looked at."""
    logits = torch.zeros(5000)
    assert max(drawn(logits, draw(top_p=0.95), 300)) > 2000


def test_negative_and_huge_seeds() -> None:
    """Any whole number is a seed."""
    for seed in (-1, 0, 2**64 + 5):
        assert drawn(LOGITS, draw(seed=seed), 20) == drawn(LOGITS, draw(seed=seed), 20)


def test_repetition_penalty_lowers_both_signs() -> None:
    """A seen token gets less likely whether its logit is positive or negative."""
    logits = torch.tensor([2.0, -2.0, 1.0])
    seen = torch.tensor([True, True, False])
    assert penalise_repetition(logits, seen, 2.0).tolist() == [1.0, -4.0, 1.0]
