"""Loads a model folder into memory, or says what is wrong with it.

Called once per engine, in the engine's thread. Never downloads, never runs code that comes
with a model, never prints.
"""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skillspace.core.adapters.engine_transformers.hardware import (
    Hardware,
    choose_hardware,
    choose_threads,
)
from skillspace.core.adapters.engine_transformers.prompting import PromptFormat
from skillspace.core.errors import (
    EngineUnavailable,
    MissingExtra,
    NotAModel,
    SkillSpaceError,
)
from skillspace.core.models.choice import ModelChoice
from skillspace.core.models.folder import ModelFolder, look_at_folder
from skillspace.core.text import t
from skillspace.core.values import EngineInfo, Value

_NO_LIMIT_TOKENS: Final = 1_000_000_000
"""Tokenizers without a limit of their own say a number above this."""


class EngineOptions(Value, frozen=True, kw_only=True):
    """How an engine uses the machine.

    Args:
        device: auto, cpu, cuda:0, mps.
        dtype: auto, float32, bfloat16, float16.
        threads: CPU threads of a step; 0 lets the machine decide.
        rows: Answers generated at once; more wait their turn.
        prefill_tokens: Of a prompt, read per step, so that a long one does not stop the others.
    """

    device: str = "auto"
    dtype: str = "auto"
    threads: int = 0
    rows: int = 32
    prefill_tokens: int = 256


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Args:
        model: A transformers causal model.
        prompts: Turns messages into tokens.
        info: For people.
        end_tokens: Any of these ends an answer.
        repetition_penalty: What the model's makers recommend; 1 is none.
    """

    model: Any
    prompts: PromptFormat
    info: EngineInfo
    end_tokens: frozenset[int]
    repetition_penalty: float


def load_model(choice: ModelChoice, options: EngineOptions) -> LoadedModel:
    """Load what was chosen.

    Raises:
        NotAModel: The folder lacks something, or holds what cannot be loaded.
        MissingExtra: torch, transformers or bitsandbytes is not installed.
        EngineUnavailable: There is not enough memory.
    """
    folder = look_at_folder(choice.path)
    torch, transformers = _import_libraries()
    try:
        tokenizer = _load_tokenizer(transformers, choice.path)
        config = _load_config(transformers, choice.path)
        torch.set_num_threads(choose_threads(options.threads, folder.parameters or 0))
        hardware = choose_hardware(torch, folder.parameters or 0, options.device, options.dtype)
        model = _load_weights(torch, transformers, config, folder, choice, hardware)
    except SkillSpaceError:
        raise
    except Exception as error:
        memory = out_of_memory(error)
        if memory is not None:
            raise memory from error
        raise
    prompts = PromptFormat(tokenizer)
    return LoadedModel(
        model=model,
        prompts=prompts,
        info=_describe(choice, config, hardware, prompts),
        end_tokens=_end_tokens(model, tokenizer),
        repetition_penalty=float(getattr(model.generation_config, "repetition_penalty", 1) or 1),
    )


def out_of_memory(error: BaseException) -> EngineUnavailable | None:
    """Say what to do if an error means that memory ran out; None if it means something else."""
    words = str(error).lower()
    is_memory = isinstance(error, MemoryError) or "out of memory" in words
    if not is_memory and "not enough memory" not in words:
        return None
    where = t("the GPU") if "cuda" in words or "hip" in words else t("this machine")
    return EngineUnavailable(
        t("There is not enough memory on {place} for the model.", place=where),
        hint=t("Close other programs, ask for fewer answers at once, or use a smaller model."),
    )


def _import_libraries() -> tuple[Any, Any]:
    # Threads that wait for work must sleep: spinning ones take the CPU from everything else.
    # Read when the OpenMP library is loaded, so before torch.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise missing_libraries(error) from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return torch, transformers


def missing_libraries(error: ImportError) -> MissingExtra:
    """Say which library is missing and how to install it."""
    return MissingExtra(
        t("To run a model here, {name} is needed.", name=error.name or "torch"),
        hint="pip install 'skillspace[local]'",
        name=error.name or "",
    )


def _load_config(transformers: Any, path: Path) -> Any:
    try:
        return transformers.AutoConfig.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
    except (ValueError, KeyError, OSError, TypeError, AttributeError) as error:
        raise _unsupported(path, error) from error


def _load_tokenizer(transformers: Any, path: Path) -> Any:
    try:
        return transformers.AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        # The tokenizers library raises bare Exception for a broken file.
        raise NotAModel(
            t("The tokenizer in {path} cannot be read: {reason}.", path=path, reason=_line(error)),
            hint=t("If it was downloaded, remove the model and download it again."),
            path=str(path),
        ) from error


def _load_weights(
    torch: Any,
    transformers: Any,
    config: Any,
    folder: ModelFolder,
    choice: ModelChoice,
    hardware: Hardware,
) -> Any:
    dtype = getattr(torch, hardware.dtype)
    extra: dict[str, Any] = {}
    if hardware.attention:
        extra["attn_implementation"] = hardware.attention
    if choice.quantise == "4bit":
        extra["quantization_config"] = _four_bits(torch, transformers, dtype)
        extra["device_map"] = {"": hardware.device}
    try:
        model, found = transformers.AutoModelForCausalLM.from_pretrained(
            folder.path,
            config=config,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            # Reported below, with the name of the tensor.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **extra,
        )
    except (ValueError, KeyError, OSError, AttributeError, RuntimeError) as error:
        if out_of_memory(error) is not None:
            raise
        raise _unsupported(folder.path, error) from error
    missing = sorted([*found["missing_keys"], *(key[0] for key in found["mismatched_keys"])])
    if missing:
        raise NotAModel(
            t(
                "The weights in {path} do not fit its config: {name} is missing or differs.",
                path=folder.path,
                name=missing[0],
            ),
            path=str(folder.path),
            missing=missing[0],
        )
    return (model if "device_map" in extra else model.to(hardware.device)).eval()


def _four_bits(torch: Any, transformers: Any, dtype: Any) -> Any:
    """Return how weights are packed into 4 bits.

    Source: Dettmers et al. 2023 (arXiv:2305.14314): NF4 with double quantisation.
    """
    for name in ("bitsandbytes", "accelerate"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtra(
                t("To pack a model into 4 bits, {name} is needed.", name=name),
                hint="pip install 'skillspace[cuda]'",
                name=name,
            )
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype if dtype != torch.float32 else torch.bfloat16,
    )


def _unsupported(path: Path, error: Exception) -> NotAModel:
    return NotAModel(
        t("The model in {path} cannot be loaded: {reason}.", path=path, reason=_line(error)),
        hint=t("It must be a causal language model that the installed transformers knows."),
        path=str(path),
    )


def _line(error: Exception) -> str:
    """Return the first sentence of a library's message, on one line."""
    text = " ".join(str(error).split())
    return text.partition(". ")[0].rstrip(".")[:300] or type(error).__name__


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    ends = getattr(model.generation_config, "eos_token_id", None)
    tokens = set(ends if isinstance(ends, list) else [ends]) | {tokenizer.eos_token_id}
    return frozenset(token for token in tokens if token is not None)


def _describe(
    choice: ModelChoice, config: Any, hardware: Hardware, prompts: PromptFormat
) -> EngineInfo:
    text_config = config.get_text_config(decoder=True)
    limits = [getattr(text_config, "max_position_embeddings", None), prompts.limit_tokens]
    known = [limit for limit in limits if limit and limit < _NO_LIMIT_TOKENS]
    is_packed = choice.quantise == "4bit"
    is_cpu = hardware.device == "cpu"
    reasons = [choice.why]
    if is_packed:
        reasons.append(t("Its weights are packed into 4 bits."))
    if not (is_packed and is_cpu):
        reasons.append(hardware.why)
    if not prompts.has_template:
        reasons.append(t("It has no chat template, so turns are written as plain text."))
    return EngineInfo(
        model=choice.name,
        context_tokens=min(known, default=look_at_folder(choice.path).context_tokens),
        device=hardware.device,
        dtype="nf4" if is_packed else hardware.dtype,
        why=" ".join(filter(None, reasons)),
        is_demo=choice.is_demo,
    )
