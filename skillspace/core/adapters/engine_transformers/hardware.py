"""What this machine has for a model: device, number format, threads.

Called once, when a model is loaded. Only reads; `torch` is imported by the caller and passed.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

from skillspace.core.models.memory import free_memory_bytes
from skillspace.core.text import t

BIG_PARAMETERS: Final = 250_000_000
"""From here on a model is bound by memory traffic, and half the bytes are worth converting."""
TINY_PARAMETERS: Final = 20_000_000
"""Below this a step is over in a millisecond or so: one thread does, and the other cores stay
free for the rest of the program."""
_MEMORY_SHARE: Final = 0.8
_NATIVE_BF16: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


class Hardware(NamedTuple):
    """Where and how a model will run.

    Args:
        device: cpu, cuda:0, mps.
        dtype: float32, bfloat16 or float16.
        attention: Name for transformers; None leaves the choice to it.
        why: One sentence.
    """

    device: str
    dtype: str
    attention: str | None
    why: str


def choose_hardware(torch: Any, parameters: int, device: str, dtype: str) -> Hardware:
    """Choose device, number format and attention.

    Args:
        torch: The module.
        parameters: Of the model; 0 when unknown.
        device: `auto`, or the one wanted.
        dtype: `auto`, or the one wanted.
    """
    if device == "auto":
        device = _best_device(torch)
    kind = device.partition(":")[0]
    if kind == "cuda":
        return _cuda(torch, device, dtype)
    if kind == "mps":
        return Hardware(device, _wish(dtype, "float16"), None, t("Apple GPU."))
    chosen, why = _cpu_dtype(parameters)
    return Hardware(device, _wish(dtype, chosen), None, why)


def _wish(dtype: str, chosen: str) -> str:
    return chosen if dtype == "auto" else dtype


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    mps = getattr(torch.backends, "mps", None)
    return "mps" if mps is not None and mps.is_available() else "cpu"


def _cuda(torch: Any, device: str, dtype: str) -> Hardware:
    major, minor = torch.cuda.get_device_capability(device)
    # bfloat16 and FlashAttention 2 both begin with compute capability 8.0 (Ampere).
    chosen = _wish(dtype, "bfloat16" if major >= 8 else "float16")
    flash = (
        major >= 8
        and chosen in ("bfloat16", "float16")
        and importlib.util.find_spec("flash_attn") is not None
    )
    name = torch.cuda.get_device_name(device)
    why = t("{gpu} with compute capability {version}.", gpu=name, version=f"{major}.{minor}")
    return Hardware(device, chosen, "flash_attention_2" if flash else None, why)


def _cpu_dtype(parameters: int) -> tuple[str, str]:
    free = free_memory_bytes()
    if parameters < BIG_PARAMETERS:
        return "float32", t("No GPU; a small model is exact and fast in float32.")
    if _NATIVE_BF16 & _cpu_flags():
        return "bfloat16", t("No GPU; this CPU computes bfloat16 itself.")
    if free is not None and parameters * 4 > free * _MEMORY_SHARE:
        return "bfloat16", t("No GPU; memory is short, so weights are kept in bfloat16.")
    return "float32", t("No GPU; this CPU is fastest in float32.")


def _cpu_flags() -> frozenset[str]:
    """Return the instruction sets of the CPU as Linux names them; empty elsewhere."""
    for line in _cpu_lines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def choose_threads(wish: int, parameters: int) -> int:
    """Choose how many threads one step of the model uses.

    Args:
        wish: From the settings; 0 takes one thread for a tiny model, else the physical cores
            this process may use.
        parameters: Of the model.
    """
    if wish > 0:
        return wish
    if 0 < parameters < TINY_PARAMETERS:
        return 1
    return max(1, min(_physical_cores(), _usable_cpus()))


def _usable_cpus() -> int:
    """Return the CPUs this process may use: its affinity and its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return count


def _physical_cores() -> int:
    """Return the cores without counting hyper-threads twice; all CPUs where nobody says."""
    cores: set[tuple[str, str]] = set()
    package = ""
    for line in _cpu_lines():
        name, _, value = line.partition(":")
        if name.strip() == "physical id":
            package = value.strip()
        elif name.strip() == "core id":
            cores.add((package, value.strip()))
    return len(cores) or os.cpu_count() or 1
