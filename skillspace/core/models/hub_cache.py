"""Reads the Hugging Face cache by plain file reading: which models were downloaded, and where.

Called by `models.store`. Never imports huggingface_hub, which takes longer than the listing.
Source: the layout in the hub's documentation, "Understand caching": a folder
`models--OWNER--NAME` with `refs/BRANCH`, `snapshots/COMMIT` and `blobs`.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

_PREFIX: Final = "models--"


class Download(NamedTuple):
    """One downloaded model.

    Args:
        repo_id: Such as `Qwen/Qwen2.5-0.5B-Instruct`.
        folder: Holds everything that was downloaded of it.
        snapshot: Holds the files of one commit; None when a download never got that far.
    """

    repo_id: str
    folder: Path
    snapshot: Path | None


def hub_cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of the Hugging Face cache, which may not exist.

    Source: huggingface.co/docs/huggingface_hub/package_reference/environment_variables.

    Args:
        environment: HF_HUB_CACHE counts before HF_HOME before XDG_CACHE_HOME before HOME.
    """
    direct = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    if direct:
        return Path(direct).expanduser()
    if environment.get("HF_HOME"):
        return Path(environment["HF_HOME"]).expanduser() / "hub"
    cache = environment.get("XDG_CACHE_HOME")
    user = environment.get("HOME") or os.path.expanduser("~")
    base = Path(cache).expanduser() if cache else Path(user) / ".cache"
    return base / "huggingface" / "hub"


def downloads(cache: Path) -> Iterator[Download]:
    """Yield every model in the cache, by name; none when the cache is not there."""
    try:
        names = sorted(os.listdir(cache))
    except OSError:
        return
    for name in names:
        folder = cache / name
        if name.startswith(_PREFIX) and folder.is_dir():
            repo_id = name.removeprefix(_PREFIX).replace("--", "/", 1)
            yield Download(repo_id, folder, _snapshot(folder))


def _snapshot(folder: Path) -> Path | None:
    """Return the snapshot of `main`, or else the newest one."""
    try:
        commit = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        commit = ""
    if commit and (folder / "snapshots" / commit).is_dir():
        return folder / "snapshots" / commit
    try:
        found = [path for path in (folder / "snapshots").iterdir() if path.is_dir()]
    except OSError:
        return None
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
