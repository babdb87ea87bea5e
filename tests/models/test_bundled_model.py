"""The bundled model loads offline, is small, and answers known questions in two languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer

MODEL = Path(__file__).parents[2] / "skillspace" / "models" / "skillspace-tiny"
KNOWN = [
    ("How do I write the summary for a nurse?", "patient assessment"),
    ("How long should a resume be?", "**One page**"),
    ("Which skills should a data analyst list?", "SQL, Python, dashboards"),
    ("How do I back up my data?", "skillspace db backup"),
    ("How do I list my sessions?", "skillspace session list"),
    ("Who are you?", "skillspace-tiny"),
    ("What is the capital of France?", "skillspace model pull Qwen/Qwen2.5-0.5B-Instruct"),
    ("护士的个人简介怎么写？", "病情评估"),
    ("简历写几页合适？", "**一页**"),
    ("怎么备份数据？", "skillspace db backup"),
    ("你是谁？", "skillspace-tiny"),
    ("法国的首都是哪里？", "skillspace model pull Qwen/Qwen2.5-0.5B-Instruct"),
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """The shipped tokenizer, loaded without the network."""
    return transformers.AutoTokenizer.from_pretrained(MODEL, local_files_only=True)


@pytest.fixture(scope="module")
def model() -> Any:
    """The shipped model in single precision, loaded without the network."""
    return transformers.AutoModelForCausalLM.from_pretrained(
        MODEL, local_files_only=True, dtype=torch.float32
    ).eval()


def _ask(model: Any, tokenizer: Any, question: str) -> str:
    batch = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.inference_mode():
        out = model.generate(**batch, max_new_tokens=260, do_sample=False)
    answer = out[0, batch["input_ids"].shape[1] :]
    assert answer[-1] == tokenizer.eos_token_id, "the answer does not end by itself"
    return str(tokenizer.decode(answer, skip_special_tokens=True))


def test_directory_is_small_and_complete() -> None:
    """The directory has every file that a loader needs and takes at most 10 MB."""
    names = {p.name for p in MODEL.iterdir()}
    assert names >= {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "README.md",
    }
    assert sum(p.stat().st_size for p in MODEL.iterdir()) <= 10_000_000


@pytest.mark.parametrize(
    "text",
    [
        "简历，写得好不好？",
        "😀 👩‍👩‍👧 🇨🇳",
        "naïve café — ﷽ 𠮷",
        "a\tb\n\n  c  ",
        "<answer>x</answer>",
    ],
)
def test_tokenizer_gives_back_any_text(tokenizer: Any, text: str) -> None:
    """Encoding and decoding returns the same text, whatever the script."""
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_loaded_tokenizer_equals_the_shipped_file(tokenizer: Any) -> None:
    """A loader that rebuilds the tokenizer must split text as the file says."""
    raw = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    text = "<|im_start|>user\nHow's my CV, in 2024? 简历 ok<|im_end|>\n<answer>- **a**\n\n```\n"
    assert tokenizer(text)["input_ids"] == raw.encode(text).ids


def test_chat_template_is_chatml(tokenizer: Any) -> None:
    """The template writes ChatML and opens the assistant's turn on request."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|im_end|>"


@pytest.mark.parametrize(("question", "expected"), KNOWN)
def test_known_questions_are_answered(
    model: Any, tokenizer: Any, question: str, expected: str
) -> None:
    """The greedy answer holds the key fact, ends by itself and has balanced tags."""
    answer = _ask(model, tokenizer, question)
    assert expected in answer
    assert answer.count("<thinking>") == answer.count("</thinking>")
    assert answer.count("<answer>") == answer.count("</answer>")
