"""Measure the bundled model on questions that it has and has not seen.

Promises: an answer counts as right only if the greedy answer equals the intended one, token by
token; no held-back wording occurs in the checked part of the training stream, or the
script stops; the figures go to ``figures.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import tempfile
from pathlib import Path
from typing import Any

import corpus
import torch
from cards import write_figures
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).parent
MODEL = HERE.parent / "skillspace" / "models" / "skillspace-tiny"
Row = tuple[str, list[dict[str, str]], str, str]


def _one(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def build_sets(seed: int) -> dict[str, list[Row]]:
    """Return the test sets: rows of language, messages, intended answer and topic.

    Args:
        seed: the seed of the training run, whose first samples are the seen questions.
    """
    first = itertools.islice(corpus.stream(seed * 1000), 300)
    seen = [(s.intent.lang, list(s.messages), s.answer, s.intent.topic) for s in first]
    rng, pairs = random.Random(5), []
    for lang in corpus.LANGS:
        for role, topic in sorted(corpus.HELD_OUT_PAIRS):
            for _ in range(2):
                intent = corpus.Intent(lang, topic, role)
                text = corpus.question(intent, rng)
                pairs.append((lang, _one(text), corpus.answer(intent), topic))
    held = corpus.load("heldout")
    phrasings, off = [], []
    for lang in corpus.LANGS:
        for row in held[lang]:
            intent = corpus.Intent(lang, row["topic"], row.get("role"))
            phrasings.append((lang, _one(row["q"]), corpus.answer(intent), row["topic"]))
        for row in held[f"off_{lang}"]:
            reply = corpus.answer(corpus.Intent(lang, "demo"))
            off.append((lang, _one(row["q"]), reply, "demo"))
    return {"seen": seen, "unseen_pairs": pairs, "unseen_phrasings": phrasings, "off_topic": off}


def check_disjoint(seed: int, count: int) -> None:
    """Stop if a held-back wording or pair occurs in the training stream.

    Args:
        seed: the seed of the training run.
        count: how many samples of each of the three phases to look at.
    """
    banned = corpus.held_back()
    for phase in range(3):
        for sample in itertools.islice(corpus.stream(seed * 1000 + phase * 100), count):
            intent = sample.intent
            assert (intent.role, intent.topic) not in corpus.HELD_OUT_PAIRS, intent
            for message in sample.messages:
                if message["role"] == "user":
                    assert corpus.skeleton(message["content"]) not in banned, message


def _first_choices(
    model: Any, tokenizer: Any, prompts: list[str], replies: list[str]
) -> list[tuple[bool, str]]:
    """Tell for each reply whether greedy decoding writes it, and what it writes otherwise.

    One pass over prompt and reply decides this: greedy decoding writes the reply exactly if
    every token of it, the end included, is the first choice after the tokens before it.
    """
    found: list[tuple[bool, str]] = [(False, "")] * len(prompts)
    heads = [tokenizer(p)["input_ids"] for p in prompts]
    tails = [tokenizer(r)["input_ids"] + [tokenizer.eos_token_id] for r in replies]
    order = sorted(range(len(prompts)), key=lambda i: len(heads[i]) + len(tails[i]))
    for at in range(0, len(order), 32):
        part = order[at : at + 32]
        width = max(len(heads[i]) + len(tails[i]) for i in part)
        ids = torch.full((len(part), width), tokenizer.pad_token_id)
        for row, i in enumerate(part):
            both = heads[i] + tails[i]
            ids[row, : len(both)] = torch.tensor(both)
        with torch.inference_mode():
            choice = model(input_ids=ids, use_cache=False).logits.argmax(-1)
        for row, i in enumerate(part):
            start = len(heads[i]) - 1
            got = choice[row, start : start + len(tails[i])].tolist()
            wrong = next((k for k, t in enumerate(got) if t != tails[i][k]), None)
            text = "" if wrong is None else tokenizer.decode([*tails[i][:wrong], got[wrong]])
            found[i] = (wrong is None, text)
    return found


def measure(model: Any, tokenizer: Any, seed: int, misses: Path) -> dict[str, Any]:
    """Return the figures of every set, and write the misses to a file.

    Args:
        model: the model under test.
        tokenizer: its tokenizer.
        seed: the seed of the training run.
        misses: the file for wrong answers.
    """
    figures: dict[str, Any] = {}
    lines = []
    for name, rows in build_sets(seed).items():
        prompts = [
            tokenizer.apply_chat_template(r[1], tokenize=False, add_generation_prompt=True)
            for r in rows
        ]
        right: dict[str, list[bool]] = {lang: [] for lang in corpus.LANGS}
        results = _first_choices(model, tokenizer, prompts, [r[2] for r in rows])
        for row, (good, text) in zip(rows, results, strict=True):
            right[row[0]].append(good)
            if not good:
                asked = row[1][-1]["content"][-160:]
                lines.append(f"{name} | {row[3]} | {asked!r} -> {text[-110:]!r}")
        both = [good for part in right.values() for good in part]
        figures[name] = {"questions": len(both), "right": round(sum(both) / len(both), 3)}
        figures[name] |= {lang: round(sum(p) / len(p), 3) for lang, p in right.items()}
        if name == "unseen_phrasings":
            demo = [corpus.answer(corpus.Intent(r[0], "demo")) for r in rows]
            declined = [good for good, _ in _first_choices(model, tokenizer, prompts, demo)]
            figures["on_topic_declined"] = round(sum(declined) / len(declined), 3)
        print(name, figures[name], flush=True)
    misses.write_text("\n".join(lines), encoding="utf-8")
    return figures


def main() -> None:
    """Read the command line, measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--seed", type=int, default=7, help="seed of the training run")
    parser.add_argument(
        "--run",
        type=Path,
        default=Path(tempfile.gettempdir()) / "skillspace-tiny-training" / "run.json",
    )
    parser.add_argument("--out", type=Path, default=HERE / "figures.json")
    parser.add_argument(
        "--misses", type=Path, default=Path(tempfile.gettempdir()) / "skillspace-tiny-misses.txt"
    )
    parser.add_argument("--checked", type=int, default=20000, help="samples for the overlap check")
    args = parser.parse_args()
    torch.set_num_threads(2)
    check_disjoint(args.seed, args.checked)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    figures = measure(model, tokenizer, args.seed, args.misses)
    size = sum(p.stat().st_size for p in args.model.iterdir())
    report = {
        "model": "skillspace-tiny",
        "right_means": "greedy answer equals the intended answer, token by token",
        "figures": figures,
        "directory_bytes": size,
        "machine": f"{platform.machine()}, {os.cpu_count()} shared CPU cores, "
        f"torch {torch.__version__}",
    }
    if args.run.exists():
        report["training"] = json.loads(args.run.read_text(encoding="utf-8"))
    args.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    pages = [HERE / "README.md", HERE / "model_card.md", args.model / "README.md"]
    write_figures(report, pages)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
