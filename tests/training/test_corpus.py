"""The corpus of the bundled model is deterministic, well formed and free of held-back wordings."""

from __future__ import annotations

import importlib
import itertools
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest

TRAINING = Path(__file__).parents[2] / "training"
SAMPLES = 3000


@pytest.fixture(scope="module")
def corpus() -> Any:
    """The corpus module, which lives outside the package."""
    sys.path.insert(0, str(TRAINING))
    try:
        yield importlib.import_module("corpus")
    finally:
        sys.path.remove(str(TRAINING))


def _overlap(corpus: Any, questions: list[str]) -> list[str]:
    return [q for q in questions if corpus.skeleton(q) in corpus.held_back()]


def _questions(corpus: Any, seed: int, count: int) -> list[str]:
    return [
        m["content"]
        for s in itertools.islice(corpus.stream(seed), count)
        for m in s.messages
        if m["role"] == "user"
    ]


def test_held_back_wordings_are_not_in_training(corpus: Any) -> None:
    """No question of the stream may have the wording of a held-back one."""
    assert _overlap(corpus, _questions(corpus, 11, SAMPLES)) == []


def test_overlap_check_finds_a_planted_wording(corpus: Any) -> None:
    """The overlap check must find a held-back wording despite case, marks and another role."""
    held = corpus.load("heldout")["en"]
    planted = next(r["q"] for r in held if "DevOps interview" in r["q"])
    disguised = planted.replace("DevOps", "nurse").upper().replace("?", " !!")
    assert _overlap(corpus, ["How long is a resume?", disguised]) == [disguised]


def test_held_out_pairs_are_not_in_training(corpus: Any) -> None:
    """No sample may ask for a held-out role and topic pair, and every role has two."""
    found = {(s.intent.role, s.intent.topic) for s in itertools.islice(corpus.stream(12), SAMPLES)}
    assert not found & corpus.HELD_OUT_PAIRS
    assert len(corpus.HELD_OUT_PAIRS) == 2 * len(corpus.ROLES["en"])


def test_held_back_sets_are_large_and_name_real_intents(corpus: Any) -> None:
    """At least 150 phrasings and 100 off-topic questions exist, each with a known intent."""
    held = corpus.load("heldout")
    assert len(held["en"]) + len(held["zh"]) >= 150
    assert len(held["off_en"]) + len(held["off_zh"]) >= 100
    for lang in corpus.LANGS:
        known = set(corpus.intents(lang))
        for row in held[lang]:
            assert corpus.Intent(lang, row["topic"], row.get("role")) in known, row


def test_same_seed_gives_the_same_corpus(corpus: Any) -> None:
    """Two streams of one seed are equal, and another seed differs."""
    first = list(itertools.islice(corpus.stream(3), 300))
    assert first == list(itertools.islice(corpus.stream(3), 300))
    assert first != list(itertools.islice(corpus.stream(4), 300))


def test_every_answer_is_filled_in_and_its_tags_are_well_formed(corpus: Any) -> None:
    """Answers leave no slot open, and carry both tags in order or none."""
    tagged = 0
    for lang in corpus.LANGS:
        for intent in corpus.intents(lang):
            text = corpus.answer(intent)
            assert text.strip() == text
            assert text
            assert not re.search(r"\{\w+\}", text), text
            if "<" in text:
                pattern = r"<thinking>[^<>]+</thinking><answer>[^<>]+</answer>"
                assert re.fullmatch(pattern, text), text
                tagged += 1
    assert tagged > 100


def test_every_question_is_filled_in(corpus: Any) -> None:
    """Every intent but the off-topic ones has wordings, and none leaves a slot or choice open."""
    rng = random.Random(1)
    for lang in corpus.LANGS:
        for intent in corpus.intents(lang):
            for _ in range(4):
                text = corpus.question(intent, rng)
                assert text.strip(), intent
                assert not re.search(r"\{\w+\}|\[.*\||\|.*\]", text), text


def test_every_topic_has_both_languages(corpus: Any) -> None:
    """Roles, topics and fixed subjects are the same in English and Chinese."""
    for table in (corpus.ROLES, corpus.TOPICS, corpus.FIXED):
        assert set(table["en"]) == set(table["zh"])
    for intent in corpus.intents("zh"):
        assert re.search(r"[\u4e00-\u9fff]", corpus.answer(intent)), intent
    for intent in corpus.intents("en"):
        assert not re.search(r"[\u4e00-\u9fff]", corpus.answer(intent)), intent
