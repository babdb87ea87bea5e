"""A model whose answers never end by themselves, for tests that stop them half-way.

`make_endless` returns the small random model of `tests.tiny_models`, changed in two
ways: it reads many thousand tokens, and of all tokens it can draw only those that are whole
printable characters. So its answer is plain text without tags, and goes on until somebody or
`--max-tokens` stops it.
"""

import shutil
from pathlib import Path
from typing import Final

import msgspec

CONTEXT_TOKENS: Final = 60_000
NEVER: Final = -1000.0
"""A logit that is never drawn."""


def make_endless(source: Path, folder: Path) -> Path:
    """Copy a model of `tests.tiny_models` and take the end of an answer from it.

    How: the first channel of the residual stream is the same positive number for every token
    and no layer writes to it, so its weight in the last layer is a bias, of which Qwen2 has none.

    Args:
        source: The folder of the small random model.
        folder: Made here.
    """
    from safetensors.numpy import load_file, save_file
    from tokenizers import Tokenizer

    shutil.copytree(source, folder)
    path = folder / "model.safetensors"
    weights = {name: tensor.copy() for name, tensor in load_file(path).items()}
    weights["model.embed_tokens.weight"][:, 0] = 2.0
    for name, tensor in weights.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            tensor[0] = 0.0
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    last = weights["lm_head.weight"]
    last[:, 0] = NEVER
    for token in range(tokenizer.get_vocab_size()):
        text = tokenizer.decode([token])
        if text.isprintable() and not set(text) & {"<", ">", "\ufffd"} and text:
            last[token, 0] = 0.0
    save_file(weights, path, metadata={"format": "pt"})
    for name, key in (
        ("config.json", "max_position_embeddings"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        settings = msgspec.json.decode((folder / name).read_bytes())
        (folder / name).write_bytes(msgspec.json.encode({**settings, key: CONTEXT_TOKENS}))
    return folder
