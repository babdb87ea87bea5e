"""Downloads a model from a Hugging Face hub into the hub's own cache.

Called by `models.store`. An interrupted download continues where it stopped; only what a model
needs here is fetched. The hub library is imported when a download begins, never before.

The library keeps whole files only, so weights, which are nearly all of a model, are fetched
into a partial file of ours first and handed over complete and checked.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from skillspace.core.errors import (
    Denied,
    InvalidInput,
    MissingExtra,
    NotAModel,
    NotFound,
    SkillSpaceError,
    StorageUnavailable,
    Unavailable,
)
from skillspace.core.models.progress import Meter, ProgressCallback, Stopped, bar_class
from skillspace.core.storage import storage_error, writing
from skillspace.core.text import t

CONTACT_TIMEOUT_S: Final = 8.0
"""How long the hub may take for its first answer."""
NEEDED: Final = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "vocab.*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "spiece.model",
    "LICENSE*",
)
NOT_NEEDED: Final = ("*/*", "consolidated*")
"""Folders and single-file copies hold the same weights again, for other programs."""
_BLOCK_BYTES: Final = 256 * 1024
"""Read at once. The library's own 10 MB make progress jump, and a slow line deaf to Ctrl-C."""
_SPARE_BYTES: Final = 200_000_000
_REPO_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_HUB: Final = "https://huggingface.co"


async def download_model(
    repo_id: str,
    revision: str,
    cache: Path,
    environment: Mapping[str, str],
    on_progress: ProgressCallback | None = None,
) -> Path:
    """Download what is missing of a model and return its folder. See `ModelStore.pull`."""
    if not _REPO_ID.fullmatch(repo_id):
        raise InvalidInput(
            t("{name} is no id of a model on the hub.", name=repo_id),
            hint=t("An id is OWNER/NAME, such as Qwen/Qwen2.5-1.5B-Instruct."),
        )
    download = _Download(repo_id, revision, cache, environment, on_progress)
    work = asyncio.get_running_loop().run_in_executor(None, download.run)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        download.stop.set()
        # The thread ends at its next block of bytes; its files must be closed by then.
        with contextlib.suppress(SkillSpaceError, Stopped):
            await work
        raise


class _File(NamedTuple):
    """One file on the hub.

    Args:
        name: In the repository.
        content: What the cache names it by; for a large file its SHA-256.
        size_bytes: All of it.
        is_large: Whether it is kept apart from the repository, as weights are.
    """

    name: str
    content: str
    size_bytes: int
    is_large: bool


class _Download:
    """One download, run in a thread."""

    def __init__(
        self,
        repo_id: str,
        revision: str,
        cache: Path,
        environment: Mapping[str, str],
        on_progress: ProgressCallback | None,
    ) -> None:
        self.stop = threading.Event()
        self._repo_id = repo_id
        self._revision = revision
        self._cache = cache
        self._endpoint = (environment.get("HF_ENDPOINT") or _HUB).rstrip("/")
        self._is_offline = environment.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes")
        self._token = environment.get("HF_TOKEN") or None
        self._on_progress = on_progress

    def run(self) -> Path:
        if self._is_offline:
            raise self._unreachable(t("HF_HUB_OFFLINE is set"))
        hub = _import_hub()
        with writing(self._cache):
            self._cache.mkdir(parents=True, exist_ok=True)
        try:
            files = self._ask(hub)
            missing = self._check_space(files)
            return self._fetch(hub, files, missing)
        except (SkillSpaceError, Stopped):
            raise
        except Exception as error:
            raise self._explain(hub, error) from error

    def _ask(self, hub: Any) -> list[_File]:
        """Ask the hub for all files that are needed."""
        api = hub.HfApi(endpoint=self._endpoint, token=self._token)
        info = api.model_info(
            self._repo_id,
            revision=self._revision,
            timeout=CONTACT_TIMEOUT_S,
            files_metadata=True,
        )
        files = {file.rfilename: file for file in info.siblings or []}
        names = list(
            hub.utils.filter_repo_objects(
                list(files), allow_patterns=list(NEEDED), ignore_patterns=list(NOT_NEEDED)
            )
        )
        if not any(name.endswith(".safetensors") for name in names):
            raise NotAModel(
                t("{name} has no safetensors weights.", name=self._repo_id),
                hint=t("Choose another model; GGUF and pickled weights are not read."),
            )
        return [
            _File(name, _content(files[name]), files[name].size or 0, files[name].lfs is not None)
            for name in names
        ]

    @property
    def _blobs(self) -> Path:
        return self._cache / f"models--{self._repo_id.replace('/', '--')}" / "blobs"

    def _partial(self, content: str) -> Path:
        return self._blobs / f"{content}.skillspace-partial"

    def _check_space(self, files: Sequence[_File]) -> int:
        """Return the bytes that are still missing, if the disk has room for them."""
        missing = 0
        for file in {file.content: file for file in files}.values():
            here = max(_size(self._blobs / file.content), _size(self._partial(file.content)))
            missing += max(0, file.size_bytes - here)
        free = shutil.disk_usage(self._cache).free
        if missing + _SPARE_BYTES > free:
            raise StorageUnavailable(
                t(
                    "{name} needs {missing} MB more in {path}, and {free} MB are free.",
                    name=self._repo_id,
                    missing=-(-missing // 1_000_000),
                    path=self._cache,
                    free=free // 1_000_000,
                ),
                hint=t("Free some space, or move the cache with HF_HUB_CACHE=/another/folder."),
                missing_bytes=missing,
                free_bytes=free,
            )
        return missing

    def _fetch(self, hub: Any, files: Sequence[_File], missing_bytes: int) -> Path:
        total = sum(file.size_bytes for file in {file.content: file for file in files}.values())
        meter = Meter(total, missing_bytes, self._on_progress, self.stop)
        meter.report()
        for file in files:
            if file.is_large:
                self._fetch_large(hub, file, meter)
        folder = hub.snapshot_download(
            self._repo_id,
            revision=self._revision,
            cache_dir=self._cache,
            endpoint=self._endpoint,
            token=self._token,
            etag_timeout=CONTACT_TIMEOUT_S,
            allow_patterns=list(NEEDED),
            ignore_patterns=list(NOT_NEEDED),
            max_workers=4,
            tqdm_class=bar_class(meter),
        )
        meter.finish()
        return Path(folder)

    def _fetch_large(self, hub: Any, file: _File, meter: "Meter") -> None:
        """Fetch what is missing of one file, check it, and put it where the library looks."""
        blob, partial = self._blobs / file.content, self._partial(file.content)
        blob.parent.mkdir(parents=True, exist_ok=True)
        locks = self._cache / ".locks" / blob.parents[1].name
        locks.mkdir(parents=True, exist_ok=True)
        with hub.utils.WeakFileLock(locks / f"{file.content}.lock"):
            if blob.exists():
                return
            url = hub.hf_hub_url(
                self._repo_id, file.name, revision=self._revision, endpoint=self._endpoint
            )
            with partial.open("ab") as target:
                hub.file_download.http_get(
                    url,
                    target,
                    resume_size=target.tell(),
                    headers=hub.utils.build_hf_headers(token=self._token),
                    expected_size=file.size_bytes,
                    tqdm_class=bar_class(meter, counts_all=True),
                )
            if _sha256(partial, self.stop) != file.content:
                partial.unlink()
                raise Unavailable(
                    t("{name} arrived damaged and was thrown away.", name=file.name),
                    hint=t("Download it again: skillspace model pull {name}", name=self._repo_id),
                )
            partial.replace(blob)

    def _explain(self, hub: Any, error: Exception) -> SkillSpaceError:
        errors = hub.errors
        name = self._repo_id
        if isinstance(error, errors.GatedRepoError):
            return Denied(
                t("{name} is only given to those who accepted its licence.", name=name),
                hint=t("Accept it at {url}, then set HF_TOKEN.", url=f"{self._endpoint}/{name}"),
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return NotFound(t("{name} has no revision {it}.", name=name, it=self._revision))
        if isinstance(error, errors.RepositoryNotFoundError):
            return NotFound(
                t("{hub} has no model {name}, or it is private.", hub=self._endpoint, name=name),
                hint=t("Check the spelling; for a private model set HF_TOKEN."),
            )
        known = None if isinstance(error, errors.HfHubHTTPError) else storage_error(error)
        return known or self._unreachable(" ".join(str(error).split())[:200])

    def _unreachable(self, reason: str) -> Unavailable:
        return Unavailable(
            t("{hub} does not answer: {reason}.", hub=self._endpoint, reason=reason.rstrip(".")),
            hint=t(
                "Check the network, set HF_ENDPOINT to a mirror, or copy a model folder here "
                "and name its path: skillspace model use /path/to/folder"
            ),
            endpoint=self._endpoint,
        )


def _import_hub() -> Any:
    """Import the hub library, quiet and attentive.

    Raises:
        MissingExtra: It is not installed.
    """
    # Read once, when the library is imported.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.file_download
        import huggingface_hub.utils.logging
    except ImportError as error:
        raise MissingExtra(
            t("To download a model, {name} is needed.", name="huggingface_hub"),
            hint="pip install 'skillspace[local]'",
            name="huggingface_hub",
        ) from error
    hub: Any = huggingface_hub
    hub.utils.logging.set_verbosity_error()
    hub.constants.DOWNLOAD_CHUNK_SIZE = _BLOCK_BYTES
    return hub


def _content(file: Any) -> str:
    return str(file.lfs.sha256 if file.lfs else file.blob_id or file.rfilename)


def _sha256(path: Path, stop: threading.Event) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if stop.is_set():
                raise Stopped
            digest.update(block)
    return digest.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
