"""Train the bundled model ``skillspace-tiny`` on the CPU.

Promises: the same seed, token budget and library versions draw the same samples; a run that
stops goes on from its last checkpoint; the finished model directory is put in place by one
rename.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chat
import corpus
import torch
from muon import Muon
from torch.nn import functional as F
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2 import modeling_qwen2

VOCAB = 4096
SHORT_ANSWER = 14
Batch = tuple[torch.Tensor, torch.Tensor]


def _fast_norm(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    return F.rms_norm(hidden, hidden.shape[-1:], self.weight, self.variance_epsilon)


def build_model(end: int, pad: int) -> Any:
    """Return the untrained model.

    Args:
        end: the token that ends a turn.
        pad: the token that fills up a batch.
    """
    config = Qwen2Config(
        vocab_size=VOCAB,
        hidden_size=192,
        num_hidden_layers=6,
        intermediate_size=512,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=chat.CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        initializer_range=0.03,
    )
    return Qwen2ForCausalLM(config)


def batches(tokenizer: Any, seed: int, limit: int, short: float) -> Iterator[Batch]:
    """Yield batches of similar lengths: token ids, and the same with prompts masked by -100.

    Args:
        tokenizer: the trained tokenizer.
        seed: the seed of the sample stream.
        limit: the most padded tokens in one batch.
        short: the share of samples cut after the first tokens of the answer, where the
            model decides what the question is about.
    """
    rng, samples = random.Random(seed + 1), corpus.stream(seed)
    pad = tokenizer.pad_token_id
    while True:
        rows: list[tuple[list[int], int]] = []
        chunk = list(itertools.islice(samples, 512))
        prompts = tokenizer([chat.render(s.messages) for s in chunk])["input_ids"]
        replies = tokenizer([s.answer + chat.END for s in chunk])["input_ids"]
        for prompt, reply in zip(prompts, replies, strict=True):
            cut = reply[:SHORT_ANSWER] if rng.random() < short else reply
            if len(prompt) + len(cut) <= chat.CONTEXT - 64:
                rows.append((prompt + cut, len(prompt)))
        rows.sort(key=lambda row: len(row[0]))
        groups: list[list[tuple[list[int], int]]] = [[]]
        for row in rows:
            if (len(groups[-1]) + 1) * len(row[0]) > limit and groups[-1]:
                groups.append([])
            groups[-1].append(row)
        rng.shuffle(groups)
        for group in groups:
            width = max(len(ids) for ids, _ in group)
            ids = torch.full((len(group), width), pad)
            goal = torch.full((len(group), width), -100)
            for i, (row_ids, start) in enumerate(group):
                ids[i, : len(row_ids)] = torch.tensor(row_ids)
                goal[i, start : len(row_ids)] = ids[i, start : len(row_ids)]
            yield ids, goal


def _loss(model: Any, ids: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    wanted = goal[:, 1:]
    keep = wanted != -100
    return F.cross_entropy(model.lm_head(hidden[keep]), wanted[keep])


def _optimizers(model: Any, peak: float) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        Muon(matrices, lr=peak),
        torch.optim.AdamW(others, lr=peak, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def export(model: Any, tokenizer: Any, target: Path, card: str) -> None:
    """Write the model directory in half precision and put it in place by one rename.

    Args:
        model: the trained model.
        tokenizer: its tokenizer.
        target: the directory to replace.
        card: the text of the model card.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".tiny-", dir=target.parent))
    fresh.chmod(0o755)
    copy = Qwen2ForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        max_new_tokens=320,
    )
    copy.half().save_pretrained(fresh)
    tokenizer.save_pretrained(fresh)
    settings = fresh / "tokenizer_config.json"
    data = json.loads(settings.read_text(encoding="utf-8")) | {"tokenizer_class": "Qwen2Tokenizer"}
    settings.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    (fresh / "README.md").write_text(card, encoding="utf-8")
    for part in fresh.iterdir():
        part.chmod(0o644)
    old = target.with_name(".tiny-old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(fresh, target)
    shutil.rmtree(old, ignore_errors=True)


def train(args: argparse.Namespace) -> None:
    """Run the training and export the result.

    Args:
        args: the command line, see ``main``.
    """
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    modeling_qwen2.Qwen2RMSNorm.forward = _fast_norm
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer = chat.build_tokenizer(args.seed, VOCAB)
    model = build_model(tokenizer.eos_token_id, tokenizer.pad_token_id)
    if args.start is not None:
        # The same seed builds the same tokenizer, so the weights of an earlier run fit.
        model.load_state_dict(Qwen2ForCausalLM.from_pretrained(args.start).float().state_dict())
    optimizers = _optimizers(model, args.lr)
    state: dict[str, Any] = {"step": 0, "tokens": 0, "seconds": 0.0}
    saved = args.work / "checkpoint.pt"
    if saved.exists() and not args.fresh:
        data = torch.load(saved)
        model.load_state_dict(data["model"])
        for opt, part in zip(optimizers, data["optimizers"], strict=True):
            opt.load_state_dict(part)
        state = data["state"]
    phases = ((0.25, 0.2), (0.85, 0.5), (1.0, 0.25))
    if args.start is not None:
        phases = ((0.0, 0.0), (0.0, 0.0), (1.0, 0.25))
    source: Iterator[Batch] | None = None
    phase, begun, noted = -1, time.monotonic() - state["seconds"], 0.0
    model.train()
    while (
        done := max(state["tokens"] / args.tokens, (time.monotonic() - begun) / (60 * args.minutes))
    ) < 1:
        now = next(i for i, (end, _) in enumerate(phases) if done < end)
        if now != phase or source is None:
            # A resumed run draws new samples for the rest of its phase.
            phase = now
            source = batches(
                tokenizer,
                args.seed * 1000 + phase * 100 + (state["step"] % 97),
                args.batch,
                phases[phase][1],
            )
        rate = min(1.0, (state["step"] + 1) / 25)
        rate *= 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        ids, goal = next(source)
        loss = _loss(model, ids, goal)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in optimizers:
            for group in opt.param_groups:
                group["lr"] = args.lr * rate
            opt.step()
            opt.zero_grad(set_to_none=True)
        state["step"] += 1
        state["tokens"] += ids.numel()
        state["seconds"] = time.monotonic() - begun
        noted = loss.item() if noted == 0 else 0.95 * noted + 0.05 * loss.item()
        if state["step"] % 20 == 0:
            print(
                f"step {state['step']} tokens {state['tokens']} loss {noted:.3f} "
                f"{state['tokens'] / state['seconds']:.0f} tok/s {state['seconds']:.0f} s",
                flush=True,
            )
        if state["step"] % 100 == 0:
            torch.save(
                {
                    "model": model.state_dict(),
                    "state": state,
                    "optimizers": [o.state_dict() for o in optimizers],
                },
                saved,
            )
    card = (Path(__file__).parent / "model_card.md").read_text(encoding="utf-8")
    export(model, tokenizer, args.out, card)
    report = {
        "seed": args.seed,
        "steps": state["step"],
        "tokens": state["tokens"],
        "minutes": round(state["seconds"] / 60, 1),
        "threads": args.threads,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    (args.work / "run.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    saved.unlink(missing_ok=True)
    print(json.dumps(report))


def main() -> None:
    """Read the command line and train."""
    root = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=root / "skillspace" / "models" / "skillspace-tiny"
    )
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "skillspace-tiny-training"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=5_000_000, help="padded tokens to train on")
    parser.add_argument("--batch", type=int, default=4096, help="padded tokens in a batch")
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument(
        "--minutes",
        type=float,
        default=60,
        help="the schedule ends here if the tokens are not reached",
    )
    parser.add_argument("--start", type=Path, help="model directory to train further")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="ignore an earlier checkpoint")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
