"""The tokenizer of the bundled model and its ChatML form.

Promises: the tokenizer gives back any text (byte-level; canonically composed, as Qwen2 does), and
``render`` writes the very text that the chat template in the model directory writes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import corpus
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import PreTrainedTokenizerFast

END, START, PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
CONTEXT = 1024
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' "
    "+ message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# The split of the Qwen2 tokenizer: loaders apply it to every model of this architecture.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def render(messages: Iterable[corpus.Message]) -> str:
    """Return a conversation as a prompt that ends where the assistant begins.

    Args:
        messages: the conversation so far.
    """
    turns = "".join(f"{START}{m['role']}\n{m['content']}{END}\n" for m in messages)
    return f"{turns}{START}assistant\n"


def build_tokenizer(seed: int, vocab: int) -> Any:
    """Train the byte-level BPE tokenizer on the corpus.

    Args:
        seed: the seed of the sampled questions.
        vocab: the number of tokens, special ones included.
    """
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[PAD, START, END],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
    )
    texts = [corpus.answer(i) for lang in corpus.LANGS for i in corpus.intents(lang)]
    samples = itertools.islice(corpus.stream(seed), 12000)
    texts += [s.messages[-1]["content"] for s in samples]
    tok.train_from_iterator(texts, trainer)
    tok.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in (PAD, START, END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        eos_token=END,
        pad_token=PAD,
        chat_template=TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        additional_special_tokens=[START],
    )
