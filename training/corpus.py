"""The training corpus of the bundled model, sampled on the fly from readable data files.

Promises: the stream is the same for the same seed; no question in it has the wording of a
held-back phrasing; no question in it asks for a held-out role and topic pair; every intent
has one answer per language, either plain or ``<thinking>…</thinking><answer>…</answer>``.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import offtopic
from grammar import expand, noise_en, noise_zh

DATA = Path(__file__).parent / "data"
LANGS = ("en", "zh")
Message = dict[str, str]


@cache
def load(name: str) -> dict[str, Any]:
    """Return one data file.

    Args:
        name: the file name without ``.toml``.
    """
    return tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8"))


ROLES: dict[str, dict[str, Any]] = {lang: load(f"roles_{lang}") for lang in LANGS}
TOPICS: dict[str, dict[str, Any]] = {lang: load(f"topics_{lang}") for lang in LANGS}
FIXED: dict[str, dict[str, Any]] = {
    lang: {**load(f"general_{lang}"), **load(f"product_{lang}")} for lang in LANGS
}
FRAMES: dict[str, dict[str, list[str]]] = {lang: load("frames")[lang] for lang in LANGS}
_LABELS = {
    lang: {
        t: (d["nouns"] or [{"en": "career change", "zh": "转行"}[lang]])[0]
        for t, d in TOPICS[lang].items()
    }
    for lang in LANGS
}


@dataclass(frozen=True)
class Intent:
    """What a question is about: a topic (perhaps with a role) or one fixed subject."""

    lang: str
    topic: str
    role: str | None = None


@dataclass(frozen=True)
class Sample:
    """One conversation that ends with the user's question, and the answer to learn."""

    messages: tuple[Message, ...]
    answer: str
    intent: Intent


def held_out_pairs() -> frozenset[tuple[str, str]]:
    """Return the (role, topic) pairs that training never asks for, two for each role."""
    topics = [t for t in TOPICS["en"] if t != "overview"]
    pairs = set()
    for i, role in enumerate(ROLES["en"]):
        pairs.add((role, topics[(i * 5 + 3) % len(topics)]))
        pairs.add((role, topics[(i * 5 + 11) % len(topics)]))
    return frozenset(pairs)


HELD_OUT_PAIRS = held_out_pairs()


@cache
def answer(intent: Intent) -> str:
    """Return the one intended answer.

    Args:
        intent: a topic, a role and topic pair, or a fixed subject.
    """
    lang = intent.lang
    if intent.topic not in TOPICS[lang]:
        return str(FIXED[lang][intent.topic]["answer"])
    data = TOPICS[lang][intent.topic]
    if intent.role is None:
        body, name = str(data["generic"]), {"en": "none given", "zh": "未说明"}[lang]
    else:
        slots = dict(ROLES[lang][intent.role])
        name = str(slots.pop("names")[0])
        slots.setdefault("one", name)
        body = str(data["frame"]).format(**slots)
    if not data["think"]:
        return body
    label = _LABELS[lang][intent.topic]
    if lang == "zh":
        thought = f"主题：{label}。岗位：{name}。先给规则，再说怎么用。"
    else:
        thought = f"Topic: {label}. Role: {name}. First the rule, then how to use it."
    return f"<thinking>{thought}</thinking><answer>{body}</answer>"


def visible(reply: str) -> str:
    """Return an answer without its thinking and without tags.

    Args:
        reply: an answer as the model writes it.
    """
    found = re.fullmatch(r"<thinking>.*</thinking><answer>(.*)</answer>", reply, re.DOTALL)
    return found.group(1) if found else reply


def intents(lang: str) -> list[Intent]:
    """Return every intent of a language, held-out pairs included.

    Args:
        lang: ``en`` or ``zh``.
    """
    found = [Intent(lang, t) for t in TOPICS[lang]]
    found += [Intent(lang, t, r) for t in TOPICS[lang] for r in ROLES[lang]]
    return found + [Intent(lang, k) for k in FIXED[lang]]


_ROLE_NAMES = sorted(
    {n.lower() for lang in LANGS for r in ROLES[lang].values() for n in r["names"]},
    key=len,
    reverse=True,
)
_ROLE = re.compile("|".join(re.escape(re.sub(r"[\W_]+", "", n)) for n in _ROLE_NAMES))


def skeleton(question: str) -> str:
    """Return a wording without case, marks, spaces and role names, for comparison.

    Args:
        question: any question.
    """
    return _ROLE.sub("@", re.sub(r"[\W_]+", "", question.lower()))


@cache
def held_back() -> frozenset[str]:
    """Return the skeletons of all held-back phrasings."""
    items = load("heldout")
    return frozenset(skeleton(row["q"]) for rows in items.values() for row in rows)


def _noise(text: str, lang: str, rng: random.Random, framed: bool = True) -> str:
    return (noise_zh if lang == "zh" else noise_en)(text, rng, framed)


def _role_name(lang: str, role: str, rng: random.Random) -> str:
    names = ROLES[lang][role]["names"]
    if lang == "zh" and rng.random() < 0.05:
        names = ROLES["en"][role]["names"]
    return str(names[0] if rng.random() < 0.25 else rng.choice(names))


def _topic_noun(lang: str, topic: str, rng: random.Random) -> str:
    nouns = TOPICS[lang][topic]["nouns"]
    if lang == "zh" and rng.random() < 0.05:
        nouns = TOPICS["en"][topic]["nouns"] or nouns
    return str(rng.choice(nouns or [_LABELS[lang][topic]]))


def _topic_question(intent: Intent, rng: random.Random) -> str:
    lang, topic, role = intent.lang, intent.topic, intent.role
    data, frames = TOPICS[lang][topic], FRAMES[lang]
    name = _role_name(lang, role, rng) if role else ""
    if topic == "change":
        asks = data["asks"] if role else data["generic_asks"]
        other = rng.choice([r for r in ROLES[lang] if r != role])
        text = expand(rng.choice(asks), rng)
        return text.replace("{r}", name).replace("{r2}", _role_name(lang, other, rng))
    if role and rng.random() < 0.4:
        text = expand(rng.choice(frames["role"]), rng)
        return text.replace("{r}", name).replace("{n}", _topic_noun(lang, topic, rng))
    if rng.random() < 0.45:
        text = expand(rng.choice(frames["noun"]), rng)
        text = text.replace("{n}", _topic_noun(lang, topic, rng))
    else:
        text = expand(rng.choice(data["asks"]), rng)
    if role:
        text = expand(rng.choice(frames["attach"]), rng).replace("{q}", text).replace("{r}", name)
    return text


def question(intent: Intent, rng: random.Random) -> str:
    """Return one noisy wording of an intent.

    Args:
        intent: what to ask for.
        rng: the source of chance.
    """
    lang, topic = intent.lang, intent.topic
    if topic == "demo":
        return _noise(offtopic.question(lang, rng), lang, rng)
    if topic in TOPICS[lang]:
        return _noise(_topic_question(intent, rng), lang, rng)
    text = expand(rng.choice(FIXED[lang][topic]["asks"]), rng)
    if "{text}" in text:
        return text.replace("{text}", offtopic.passage(lang, rng))
    return _noise(text, lang, rng, framed=topic not in ("greeting", "thanks", "bye"))


def pick_intent(lang: str, rng: random.Random) -> Intent:
    """Draw an intent with the proportions of the training stream.

    Args:
        lang: ``en`` or ``zh``.
        rng: the source of chance.
    """
    kind = rng.random()
    if kind < 0.42:
        while True:
            role, topic = rng.choice(list(ROLES[lang])), rng.choice(list(TOPICS[lang]))
            if (role, topic) not in HELD_OUT_PAIRS:
                return Intent(lang, topic, role)
    if kind < 0.55:
        return Intent(lang, rng.choice(list(TOPICS[lang])))
    if kind < 0.69:
        return Intent(lang, "demo")
    if kind < 0.72:
        return Intent(lang, "paste")
    return Intent(lang, rng.choice([k for k in FIXED[lang] if k not in ("demo", "paste")]))


def _resume_text(lang: str, role: str, rng: random.Random) -> str:
    frames, slots = FRAMES[lang], ROLES[lang][role]
    text = rng.choice(frames["resume"])
    filler = offtopic.passage(lang, rng)
    return text.format(
        name=rng.choice(frames["names"]),
        r=_role_name(lang, role, rng),
        mail=f"a{rng.randint(1, 99)}@example.org",
        years=rng.randint(1, 20),
        skills=slots["skills"],
        bullet=slots["bullet"],
        cred=slots["cred"],
        s=filler,
    )


def _pair(role: str, topic: str) -> bool:
    return (role, topic) not in HELD_OUT_PAIRS and topic != "change"


def _messages(intent: Intent, rng: random.Random) -> tuple[list[Message], Intent]:
    """Wrap a question into a conversation; the latest role in it holds for later questions."""
    lang, kind = intent.lang, rng.random()
    messages: list[Message] = []
    if rng.random() < 0.12:
        text = rng.choice(FRAMES[rng.choice(LANGS)]["system"])
        messages.append({"role": "system", "content": text})
    if kind < 0.94:
        messages.append({"role": "user", "content": question(intent, rng)})
        return messages, intent
    role = rng.choice(list(ROLES[lang]))
    if kind < 0.962:  # a resume stands before the question, and gives the role
        text = _resume_text(lang, role, rng)
        if intent.topic in TOPICS[lang] and _pair(role, intent.topic):
            bare = Intent(lang, intent.topic)
            asked, intent = question(bare, rng), Intent(lang, intent.topic, role)
        else:
            intent = Intent(lang, rng.choice([k for k in FIXED[lang] if k != "paste"]))
            asked = question(Intent(lang, "demo") if intent.topic == "demo" else intent, rng)
        if messages or rng.random() < 0.5:
            head = messages.pop()["content"] + "\n\n" if messages else ""
            messages.append({"role": "system", "content": head + text})
            messages.append({"role": "user", "content": asked})
        else:
            messages.append({"role": "user", "content": f"{text}\n\n{asked}"})
        return messages, intent
    history = [pick_intent(lang, rng) for _ in range(rng.choice((1, 1, 1, 2, 4)))]
    follow = kind < 0.985 and intent.topic in TOPICS[lang] and _pair(role, intent.topic)
    if follow:
        first = rng.choice([t for t in TOPICS[lang] if _pair(role, t)])
        history[-1] = Intent(lang, first, role)
    for past in history:
        messages.append({"role": "user", "content": question(past, rng)})
        reply = answer(past)
        if rng.random() < 0.5:  # a workspace may leave the thinking out of the history
            reply = visible(reply)
        messages.append({"role": "assistant", "content": reply})
    if not follow:
        if intent.topic in TOPICS[lang] and intent.role is None:
            intent = Intent(lang, rng.choice([k for k in FIXED[lang] if k != "paste"]))
        messages.append({"role": "user", "content": question(intent, rng)})
        return messages, intent
    if rng.random() < 0.3 and _pair(other := rng.choice(list(ROLES[lang])), first):
        text = expand(rng.choice(FRAMES[lang]["rolefollow"]), rng)
        text = text.replace("{r}", _role_name(lang, other, rng))
        intent = Intent(lang, first, other)
    else:
        text = expand(rng.choice(FRAMES[lang]["follow"]), rng)
        text = text.replace("{n}", _topic_noun(lang, intent.topic, rng))
        intent = Intent(lang, intent.topic, role)
    messages.append({"role": "user", "content": _noise(text, lang, rng, framed=False)})
    return messages, intent


def stream(seed: int) -> Iterator[Sample]:
    """Yield training samples without end; the same seed gives the same samples.

    Args:
        seed: the seed of the only generator used.
    """
    rng = random.Random(seed)
    banned = held_back()
    while True:
        lang = "zh" if rng.random() < 0.42 else "en"
        messages, intent = _messages(pick_intent(lang, rng), rng)
        if any(m["role"] == "user" and skeleton(m["content"]) in banned for m in messages):
            continue
        yield Sample(tuple(messages), answer(intent), intent)
