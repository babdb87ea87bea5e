"""Questions that the demo model must decline, and texts that people paste.

Promises: nothing here is about resumes, job search or SkillSpace; every function is
deterministic for a seeded ``random.Random``.
"""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

from grammar import expand

_PATH = Path(__file__).parent / "data" / "offtopic.toml"
_DATA: dict[str, Any] = tomllib.loads(_PATH.read_text(encoding="utf-8"))
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _fill(pattern: str, words: dict[str, list[str]], rng: random.Random) -> str:
    text = expand(pattern, rng)
    for key, values in words.items():
        while f"{{{key}}}" in text:
            text = text.replace(f"{{{key}}}", rng.choice(values), 1)
    while "{num}" in text:
        text = text.replace("{num}", str(rng.randint(2, 9999)), 1)
    return text


def gibberish(lang: str, rng: random.Random) -> str:
    """Return a random string without meaning.

    Args:
        lang: ``en`` or ``zh``.
        rng: the source of chance.
    """
    if lang == "zh":
        return "".join(chr(rng.randint(0x4E00, 0x9000)) for _ in range(rng.randint(2, 9)))
    return " ".join(
        "".join(rng.choice(_LETTERS) for _ in range(rng.randint(3, 9)))
        for _ in range(rng.randint(1, 4))
    )


def question(lang: str, rng: random.Random) -> str:
    """Return one off-topic question without a final mark.

    Args:
        lang: ``en`` or ``zh``.
        rng: the source of chance.
    """
    if rng.random() < 0.05:
        return gibberish(lang, rng)
    part = _DATA[lang]
    return _fill(rng.choice(part["patterns"]), part["words"], rng)


def passage(lang: str, rng: random.Random) -> str:
    """Return a pasted text of one to nine sentences.

    Args:
        lang: ``en`` or ``zh``.
        rng: the source of chance.
    """
    part = _DATA[lang]
    count = rng.choice((1, 2, 2, 3, 4, 9))
    rows = [_fill(rng.choice(part["sentences"]), part["words"], rng) for _ in range(count)]
    if lang == "zh":
        return "。".join(rows) + "。"
    return " ".join(r[:1].upper() + r[1:] + "." for r in rows)
