"""A machine of its own for each test: its home, its Hugging Face cache, its bundled model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from skillspace.core.models.store import ModelStore
from skillspace.core.settings_sources import load_settings
from tests.core.models.hub_server import Hub, serve_hub

REPO = "Qwen/Qwen2.5-0.5B-Instruct"
StoreMaker = Callable[..., ModelStore]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment without GPUs, network names or the user's home."""
    return {
        "HOME": str(tmp_path),
        "SKILLSPACE_HOME": str(tmp_path / "space"),
        "HF_HOME": str(tmp_path / "hf"),
        "PATH": str(tmp_path / "bin"),
    }


@pytest.fixture
def make_store(environment: dict[str, str], tiny_model: Path) -> StoreMaker:
    """Return a function that opens the store of this machine, with the settings as they are."""

    def make(name: str | None = None) -> ModelStore:
        settings = load_settings(environment, {}).settings
        if name is not None:
            model = msgspec.structs.replace(settings.model, name=name)
            settings = msgspec.structs.replace(settings, model=model)
        return ModelStore(settings, environment, bundled=tiny_model)

    return make


@pytest.fixture
def hub(environment: dict[str, str], tiny_model: Path) -> Iterator[Hub]:
    """Serve the tiny model as REPO, and point the environment at it."""
    with serve_hub(tiny_model, REPO) as served:
        environment["HF_ENDPOINT"] = served.url
        yield served


def put_in_cache(environment: dict[str, str], repo_id: str, model: Path) -> Path:
    """Write a model into the cache as a download leaves it; return its snapshot."""
    folder = Path(environment["HF_HOME"]) / "hub" / f"models--{repo_id.replace('/', '--')}"
    snapshot = folder / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("c0ffee")
    (folder / "blobs").mkdir()
    for file in model.iterdir():
        blob = folder / "blobs" / f"blob-{file.name}"
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(blob)
    return snapshot
