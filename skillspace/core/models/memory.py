"""How much memory there is for a model, found out cheaply.

Called by `models.choice` when a model is chosen by itself. Asks the operating system and
`nvidia-smi`; never imports torch, which most processes never need.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping

_TIMEOUT_S = 5.0


def free_memory_bytes() -> int | None:
    """Return how much memory a new process may take; None where that cannot be read."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def free_gpu_bytes(environment: Mapping[str, str]) -> int | None:
    """Return the free memory of the NVIDIA GPU that would be used; None when there is none.

    Args:
        environment: PATH finds `nvidia-smi`; CUDA_VISIBLE_DEVICES may hide or choose GPUs.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    first = visible.split(",")[0].strip() if visible is not None else "0"
    program = shutil.which("nvidia-smi", path=environment.get("PATH", os.defpath))
    if program is None or first in ("", "-1"):
        return None
    query = [program, "--query-gpu=memory.free", "--format=csv,noheader,nounits", f"--id={first}"]
    try:
        # S603: the program comes from PATH, the arguments are ours.
        done = subprocess.run(query, capture_output=True, timeout=_TIMEOUT_S, check=True)  # noqa: S603 - see above
        return int(done.stdout.split()[0]) * 1024 * 1024
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
