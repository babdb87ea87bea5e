"""The models of this machine: listed, resolved to a folder, chosen, removed, downloaded.

Called by `skillspace model`, by the composition root to open an engine, and by completions.
Reads small files only; never imports torch, transformers or (but to download) the hub library.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import msgspec

from skillspace.core.errors import Conflict, InvalidInput, NotAModel, NotFound
from skillspace.core.home import Home
from skillspace.core.models.choice import (
    AUTO,
    BUNDLED,
    LARGE,
    SMALL,
    ModelChoice,
    ModelEntry,
    Source,
    choose_model,
)
from skillspace.core.models.download import download_model
from skillspace.core.models.folder import folder_size_bytes, look_at_folder
from skillspace.core.models.hub_cache import Download, downloads, hub_cache_folder
from skillspace.core.models.memory import free_gpu_bytes, free_memory_bytes
from skillspace.core.models.progress import ProgressCallback
from skillspace.core.settings import Settings
from skillspace.core.storage import writing
from skillspace.core.text import t

BUNDLED_FOLDER: Final = Path(__file__).parents[2] / "models" / BUNDLED


class ModelStore:
    """Finds models in the package, in the Hugging Face cache and in folders.

    Args:
        settings: `model.name` is the model that answers; its folders hold `config.toml`.
        environment: Where the cache, the hub and the GPUs are; None takes the process's.
        bundled: Folder of the bundled model.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str] | None = None,
        *,
        bundled: Path = BUNDLED_FOLDER,
    ) -> None:
        self._settings = settings
        self._environment = os.environ if environment is None else environment
        self._bundled = bundled

    def list_models(self) -> list[ModelEntry]:
        """Return every model there is: the bundled one, downloads by name, then the chosen folder.

        A model that cannot be used is listed too, with its problem.
        """
        entries = self._entries()
        default = self._default_name(entries)
        return [
            msgspec.structs.replace(entry, is_default=entry.name == default) for entry in entries
        ]

    def find(self, name: str) -> ModelEntry:
        """Return one model.

        Args:
            name: Of a listed model, its last part, a folder, or `auto`.

        Raises:
            NotFound: There is none; the hint has near names and how to download it.
        """
        entries = self.list_models()
        wanted = self._choose(entries).name if name == AUTO else name
        return self._find(wanted, entries)

    def resolve(self, name: str = AUTO) -> ModelChoice:
        """Choose the folder for a name, ready to be loaded.

        Args:
            name: A name, a folder, or `auto`.

        Raises:
            NotFound: There is no such model.
            NotAModel: There is, but it is incomplete or broken.
        """
        entries = self._entries()
        if name == AUTO:
            return self._choose(entries)
        entry = self._find(name, entries)
        if entry.problem:
            # Looking again raises the error itself, with its hint.
            look_at_folder(Path(entry.path))
        is_large = entry.name == LARGE
        return ModelChoice(
            path=Path(entry.path),
            name=entry.name,
            why=t("It was asked for by name."),
            quantise="4bit" if is_large and self._gpu() is not None else "none",
            is_demo=entry.source == "bundled",
        )

    def use(self, name: str) -> ModelChoice:
        """Make a model the one that answers, from the next command on.

        Args:
            name: As for `resolve`; `auto` goes back to choosing by itself.

        Raises:
            NotFound, NotAModel: It cannot be used.
            StorageUnavailable: `config.toml` cannot be written.
        """
        from skillspace.core.settings_file import set_value

        choice = self.resolve(name)
        set_value(self._home(), "model.name", AUTO if name == AUTO else choice.name)
        return choice

    def removable(self, name: str) -> ModelEntry:
        """Return the model that `remove` would delete, with the bytes it would free.

        Raises:
            NotFound: There is no such model.
            InvalidInput: It is bundled, or a folder that was not downloaded.
            Conflict: It is the one that is set to answer.
        """
        entry = next((entry for entry in self._entries() if entry.name == name), None)
        entry = entry or self.find(name)
        if entry.source == "bundled":
            raise InvalidInput(t("{name} is part of SkillSpace and stays.", name=entry.name))
        if entry.source == "folder":
            raise InvalidInput(
                t("{name} was not downloaded by SkillSpace.", name=entry.name),
                hint=t("Delete the folder yourself if you no longer want it."),
            )
        if entry.name == self._settings.model.name:
            raise Conflict(
                t("{name} is the model that is set to answer.", name=entry.name),
                hint=t("Choose another one first: skillspace model use auto"),
            )
        return entry

    def remove(self, name: str) -> ModelEntry:
        """Delete a downloaded model and return what it was.

        Raises:
            NotFound, InvalidInput, Conflict: As `removable` says.
            StorageUnavailable: The files cannot be deleted.
        """
        entry = self.removable(name)
        found = next(d for d in downloads(self.cache) if d.repo_id == entry.name)
        with writing(found.folder):
            # Moved aside first, so that a reader never finds half a model.
            aside = found.folder.with_name(f".removing-{os.getpid()}-{found.folder.name}")
            found.folder.rename(aside)
            shutil.rmtree(aside)
            shutil.rmtree(self.cache / ".locks" / found.folder.name, ignore_errors=True)
        return entry

    async def pull(
        self,
        repo_id: str,
        revision: str = "main",
        *,
        on_progress: ProgressCallback | None = None,
    ) -> ModelEntry:
        """Download a model from the hub, or what is missing of it, and return it.

        Args:
            repo_id: Such as `Qwen/Qwen2.5-1.5B-Instruct`.
            revision: Branch, tag or commit.
            on_progress: Called from another thread as bytes arrive.

        Raises:
            InvalidInput: The id is not of the form OWNER/NAME.
            NotFound, Denied: The hub has no such model, or not for you.
            Unavailable: The hub does not answer.
            StorageUnavailable: The disk is full, or will be.
            MissingExtra: The hub library is not installed.
            NotAModel: The hub's repository has no model that can be loaded.
        """
        folder = await download_model(repo_id, revision, self.cache, self._environment, on_progress)
        entry = next((e for e in self._entries() if e.name.lower() == repo_id.lower()), None)
        if entry is None or entry.problem:
            look_at_folder(folder)
        return entry or self._entry(repo_id, folder, "hub")

    @property
    def cache(self) -> Path:
        """Folder that downloads go to."""
        return hub_cache_folder(self._environment)

    def _entries(self) -> list[ModelEntry]:
        entries = [self._entry(BUNDLED, self._bundled, "bundled")]
        entries += [self._download_entry(found) for found in downloads(self.cache)]
        chosen = self._settings.model.name
        if _names_folder(chosen) and chosen not in {entry.name for entry in entries}:
            entries.append(self._folder_entry(chosen))
        return entries

    def _default_name(self, entries: list[ModelEntry]) -> str:
        name = self._settings.model.name
        if name == AUTO:
            return self._choose(entries).name
        with contextlib.suppress(NotFound):
            return self._find(name, entries).name
        return ""

    def _folder_entry(self, name: str) -> ModelEntry:
        path = Path(os.path.abspath(os.path.expanduser(name)))
        return self._entry(str(path), path, "folder")

    def _download_entry(self, found: Download) -> ModelEntry:
        if found.snapshot is None:
            problem = t("The download is not complete.")
            size = folder_size_bytes(found.folder)
            return ModelEntry(
                name=found.repo_id,
                path=str(found.folder),
                source="hub",
                size_bytes=size,
                problem=problem,
            )
        entry = self._entry(found.repo_id, found.snapshot, "hub")
        return msgspec.structs.replace(entry, size_bytes=folder_size_bytes(found.folder))

    def _entry(self, name: str, path: Path, source: Source) -> ModelEntry:
        try:
            folder = look_at_folder(path)
        except NotAModel as error:
            return ModelEntry(name=name, path=str(path), source=source, problem=error.message)
        return ModelEntry(
            name=name,
            path=str(folder.path),
            source=source,
            size_bytes=folder.size_bytes,
            context_tokens=folder.context_tokens,
            architecture=folder.architecture,
            parameters=folder.parameters,
        )

    def _find(self, name: str, entries: list[ModelEntry]) -> ModelEntry:
        for entry in entries:
            if name.lower() == entry.name.lower():
                return entry
        ends = [e for e in entries if e.name.lower().rpartition("/")[2] == name.lower()]
        if len(ends) == 1:
            return ends[0]
        if _names_folder(name):
            return self._folder_entry(name)
        raise self._not_found(name, entries)

    def _not_found(self, name: str, entries: list[ModelEntry]) -> NotFound:
        message = t("There is no model {name} on this machine.", name=name)
        if _is_clearly_path(name):
            return NotFound(
                t("There is no folder {path}.", path=name),
                hint=t("See the models there are: skillspace model list"),
                path=name,
            )
        here = [entry.name for entry in entries]
        known = [*here, LARGE, *SMALL]
        folded = {known_name.lower(): known_name for known_name in known}
        folded.update({each.lower().rpartition("/")[2]: each for each in known})
        near = list(
            dict.fromkeys(
                folded[match] for match in get_close_matches(name.lower(), folded, 3, 0.6)
            )
        )
        wish = next((each for each in near if each not in here), name)
        hints = []
        if near:
            hints.append(t("Did you mean {names}?", names=", ".join(near)))
        if wish.count("/") == 1:
            hints.append(t("Download it with: skillspace model pull {name}", name=wish))
        hints = hints or [t("See what there is: skillspace model list")]
        return NotFound(message, hint=" ".join(hints), name=name, near=", ".join(near))

    def _choose(self, entries: list[ModelEntry]) -> ModelChoice:
        return choose_model(entries, free_gpu_bytes=self._gpu, free_memory_bytes=free_memory_bytes)

    def _gpu(self) -> int | None:
        return free_gpu_bytes(self._environment)

    def _home(self) -> Home:
        folders = self._settings.folders
        return Home(str(folders.config), str(folders.data), str(folders.state), str(folders.cache))


def _names_folder(name: str) -> bool:
    """Whether a name means something on the disk; a plain word never does."""
    has_folder = _is_clearly_path(name) or "/" in name or os.sep in name
    return has_folder and os.path.lexists(os.path.expanduser(name))


def _is_clearly_path(name: str) -> bool:
    return name.startswith((".", "~", "/", os.sep)) or os.path.isabs(name)


def model_names(store: ModelStore) -> Iterator[str]:
    """Yield the names of usable models, for completions."""
    yield from (entry.name for entry in store.list_models() if not entry.problem)
