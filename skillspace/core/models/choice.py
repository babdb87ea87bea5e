"""Which model answers when nobody names one: the rule behind `auto`, and what a choice is.

Called by `models.store`; the engine takes a `ModelChoice`. Decides from values it is given and
asks the machine for memory through the functions it is given, only when the answer matters.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

from skillspace.core.text import t
from skillspace.core.values import Value

Quantise = Literal["none", "4bit"]
Source = Literal["bundled", "hub", "folder"]

AUTO: Final = "auto"
BUNDLED: Final = "skillspace-tiny"
LARGE: Final = "Qwen/Qwen2.5-7B-Instruct"
SMALL: Final = tuple(f"Qwen/Qwen2.5-{size}B-Instruct" for size in ("3", "1.5", "0.5"))
SUGGESTED: Final = "Qwen/Qwen2.5-1.5B-Instruct"
GPU_NEEDED_BYTES: Final = 7_000_000_000
"""The large model in 4 bits (5.5 GB) and the cache of a few conversations (56 KB a token)."""
_CPU_BYTES_PER_PARAMETER: Final = 2.5
"""Weights in 2 bytes, the least the engine loads a small model in, and room to work."""


class ModelEntry(Value, frozen=True, kw_only=True):
    """One model on this machine.

    Args:
        name: What `use` and `--model` take.
        path: Its folder.
        source: bundled with SkillSpace, downloaded from the hub, or a folder of yours.
        size_bytes: On disk.
        context_tokens: Prompt and answer together; None when it cannot be read.
        architecture: Such as `Qwen2ForCausalLM`; empty when it cannot be read.
        parameters: None when they cannot be counted.
        is_default: Whether it answers when nobody names a model.
        problem: Why it cannot be used; empty when it can.
    """

    name: str
    path: str
    source: Source
    size_bytes: int = 0
    context_tokens: int | None = None
    architecture: str = ""
    parameters: int | None = None
    is_default: bool = False
    problem: str = ""


class ModelChoice(Value, frozen=True, kw_only=True):
    """A model that was chosen, ready for an engine.

    Args:
        path: Its folder.
        name: What people know it by.
        why: One sentence on how it was chosen.
        quantise: Whether the weights are packed into 4 bits while loading.
        is_demo: True for the bundled model.
        notice: One sentence a person should see on stderr; empty when there is none.
    """

    path: Path
    name: str
    why: str = ""
    quantise: Quantise = "none"
    is_demo: bool = False
    notice: str = ""


def choose_model(
    entries: Sequence[ModelEntry],
    *,
    free_gpu_bytes: Callable[[], int | None],
    free_memory_bytes: Callable[[], int | None],
    can_quantise: bool | None = None,
) -> ModelChoice:
    """Choose the best model that is here and fits; the bundled one always does.

    Args:
        entries: All models of this machine, the bundled one among them.
        free_gpu_bytes: Asked only if the large model is here; None means no GPU.
        free_memory_bytes: Asked only if a small model is here; None means unknown.
        can_quantise: Whether weights can be packed into 4 bits; None looks for the extra.
    """
    usable = {entry.name: entry for entry in entries if not entry.problem}
    large = usable.get(LARGE)
    if can_quantise is None:
        can_quantise = all(map(importlib.util.find_spec, ("bitsandbytes", "accelerate")))
    if large and can_quantise and (free_gpu_bytes() or 0) >= GPU_NEEDED_BYTES:
        why = t("{name} is downloaded and the GPU has room for it in 4 bits.", name=LARGE)
        return ModelChoice(path=Path(large.path), name=LARGE, why=why, quantise="4bit")
    small = [usable[name] for name in SMALL if name in usable]
    free = free_memory_bytes() if small else None
    for entry in small:
        needed = (entry.parameters or 0) * _CPU_BYTES_PER_PARAMETER
        if free is None or needed <= free:
            why = t("{name} is the largest small model here that fits.", name=entry.name)
            return ModelChoice(path=Path(entry.path), name=entry.name, why=why)
    bundled = usable.get(BUNDLED) or next(entry for entry in entries if entry.source == "bundled")
    return ModelChoice(
        path=Path(bundled.path),
        name=BUNDLED,
        why=t("No other model is downloaded that fits this machine."),
        is_demo=True,
        notice=t(
            "The small demo model answers: it only knows a few hundred questions. "
            "For a real assistant: skillspace model pull {name}",
            name=SUGGESTED,
        ),
    )
