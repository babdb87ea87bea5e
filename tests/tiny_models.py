"""Small random models that tests make themselves: a real Qwen2, a real tokenizer, quick to load.

`tests/conftest.py` offers the fixture `tiny_model` to every test.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

CHATML: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CORPUS: Final = (
    "How do I write a resume? Begin with what you did, then say what came of it.",
    "怎样写简历？先写你做了什么，再写结果。用数字说话。",
    "<thinking>They ask about a résumé.</thinking><answer>Keep it short 🙂👩‍💻</answer>",
    "def add(a, b):\n    return a + b  # naïve café 北京 東京",
)
CONTEXT_TOKENS: Final = 512


def make_tokenizer(corpus: Iterable[str] = CORPUS, *, template: str | None = CHATML) -> Any:
    """Return a byte-level BPE tokenizer trained on a few sentences.

    Args:
        corpus: What it learns merges from.
        template: Its chat template; None for none.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(corpus, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=CONTEXT_TOKENS,
    )
    tokenizer.chat_template = template
    return tokenizer


def make_model_folder(
    folder: Path,
    *,
    template: str | None = CHATML,
    seed: int = 0,
    repetition_penalty: float = 1.0,
    sharded: bool = False,
) -> Path:
    """Write a random Qwen2 model of some 80,000 parameters and return its folder.

    Args:
        folder: Made if need be.
        template: Chat template; None for none.
        seed: Of the weights.
        repetition_penalty: In its generation config.
        sharded: Whether the weights are split over several files.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer = make_tokenizer(template=template)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    config = Qwen2Config(
        # More rows than the tokenizer has tokens, as real models have.
        vocab_size=len(tokenizer) + 8,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=False,
        # Far from zero, so that a random model has opinions and does not repeat one token.
        initializer_range=0.4,
        eos_token_id=end,
        bos_token_id=None,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    model.generation_config.repetition_penalty = repetition_penalty
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, max_shard_size="100KB" if sharded else "1GB")
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a random model with a chat template; not to be changed."""
    return make_model_folder(tmp_path_factory.mktemp("models") / "tiny")
