"""Looks at a model folder without loading it: what it is, how big, and what it lacks.

Called by `models.store` for every model it lists and by the engine before it loads one. Reads
small files and headers only; never imports a model library.
"""

import os
from pathlib import Path
from typing import Any, Final

import msgspec

from skillspace.core.errors import NotAModel
from skillspace.core.models.weights import count_parameters, weight_files
from skillspace.core.text import t
from skillspace.core.values import Value

DEFAULT_CONTEXT_TOKENS: Final = 4096
"""Assumed for a model that does not say how much it reads."""
_TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")
_CONTEXT_KEYS: Final = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


class ModelFolder(Value, frozen=True, kw_only=True):
    """What a model folder says of itself.

    Args:
        path: Absolute.
        architecture: Such as `Qwen2ForCausalLM`; empty when the config names none.
        context_tokens: Prompt and answer together.
        parameters: How many; None for packed weights, whose numbers are no parameters.
        size_bytes: All files together.
    """

    path: Path
    architecture: str
    context_tokens: int
    parameters: int | None
    size_bytes: int


def look_at_folder(path: Path) -> ModelFolder:
    """Check a model folder and say what is in it.

    Raises:
        NotAModel: It is no folder, lacks config, tokenizer or weights, or one of them is
            broken; the message names the path and what is wrong.
    """
    path = Path(os.path.abspath(path))
    if not path.is_dir():
        raise NotAModel(
            t("{path} is no folder.", path=path),
            hint=t("A model is a folder with config.json, a tokenizer and model.safetensors."),
            path=str(path),
        )
    config = read_config(path)
    if not any((path / name).is_file() for name in _TOKENIZERS):
        raise _missing(path, "tokenizer.json")
    files = weight_files(path)
    counted = sum(count_parameters(file) for file in files)
    names = config.get("architectures")
    nested = config.get("text_config")
    text_config: dict[str, Any] = nested if isinstance(nested, dict) else config
    contexts = [text_config.get(key) for key in _CONTEXT_KEYS]
    return ModelFolder(
        path=path,
        architecture=str(names[0]) if isinstance(names, list) and names else "",
        context_tokens=next((c for c in contexts if isinstance(c, int)), DEFAULT_CONTEXT_TOKENS),
        parameters=None if config.get("quantization_config") else counted,
        size_bytes=folder_size_bytes(path),
    )


def read_config(path: Path) -> dict[str, Any]:
    """Read the `config.json` of a model folder.

    Raises:
        NotAModel: It is missing or is no JSON object.
    """
    file = path / "config.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path, "config.json") from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotAModel(
            t("{path} cannot be read: {reason}.", path=file, reason=str(error).rstrip(".")),
            hint=t("If it was downloaded, remove the model and download it again."),
            path=str(file),
        ) from error


def folder_size_bytes(path: Path) -> int:
    """Return the size of all files beneath a folder, links followed, each file counted once."""
    seen: dict[tuple[int, int], int] = {}
    for top, _, names in os.walk(path):
        for name in names:
            try:
                found = os.stat(os.path.join(top, name))
            except OSError:
                continue
            seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())


def _missing(path: Path, name: str) -> NotAModel:
    return NotAModel(
        t("{path} is no model: {name} is missing.", path=path, name=name),
        hint=t("A model folder holds config.json, a tokenizer and model.safetensors."),
        path=str(path),
        missing=name,
    )
