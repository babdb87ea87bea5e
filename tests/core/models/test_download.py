"""Downloading from a hub: real requests to a small server, cut off and continued."""

import asyncio
import threading
from pathlib import Path

import pytest

from skillspace.core.errors import (
    Denied,
    InvalidInput,
    NotAModel,
    NotFound,
    StorageUnavailable,
    Unavailable,
)
from skillspace.core.models.progress import DownloadProgress
from tests.core.models.conftest import REPO, StoreMaker
from tests.core.models.hub_server import Hub

WEIGHTS = "model.safetensors"


async def test_pull_brings_what_a_model_needs(hub: Hub, make_store: StoreMaker) -> None:
    """The model is listed and usable afterwards; files for other programs are not fetched."""
    seen: list[DownloadProgress] = []
    entry = await make_store().pull(REPO, on_progress=seen.append)
    assert (entry.name, entry.problem, entry.source) == (REPO, "", "hub")
    assert entry.parameters
    names = {name for name, _ in hub.fetched}
    assert {WEIGHTS, "config.json", "tokenizer.json"} <= names
    assert not names & {"README.md", "pytorch_model.bin", "onnx/model.safetensors"}
    assert make_store().resolve(REPO).path == Path(entry.path)
    assert seen[0].done_bytes == 0
    assert seen[-1].done_bytes == seen[-1].total_bytes > 0
    assert [p.done_bytes for p in seen] == sorted(p.done_bytes for p in seen)


async def test_a_second_pull_fetches_nothing(hub: Hub, make_store: StoreMaker) -> None:
    """What is here is not downloaded again."""
    await make_store().pull(REPO)
    hub.fetched.clear()
    await make_store().pull(REPO)
    assert hub.fetched == []


async def test_a_broken_connection_is_taken_up(hub: Hub, make_store: StoreMaker) -> None:
    """A connection that ends half way continues at the byte where it ended."""
    hub.files[WEIGHTS] = _enlarged(hub.files[WEIGHTS])
    hub.cut_after_bytes, hub.cuts_left = 300_000, 1
    entry = await make_store().pull(REPO)
    assert entry.problem == ""
    assert [asked for name, asked in hub.fetched if name == WEIGHTS] == ["", "bytes=262144-"]


async def test_a_cancelled_pull_continues(hub: Hub, make_store: StoreMaker) -> None:
    """Ctrl-C keeps what arrived: the next pull asks for the rest only, and counts from there."""
    hub.files[WEIGHTS] = _enlarged(hub.files[WEIGHTS])
    hub.gate = threading.Event()
    arrived = threading.Event()

    def watch(progress: DownloadProgress) -> None:
        if progress.done_bytes > 700_000:
            arrived.set()

    pulling = asyncio.create_task(make_store().pull(REPO, on_progress=watch))
    await asyncio.to_thread(arrived.wait)
    pulling.cancel()
    await asyncio.sleep(0)
    hub.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    hub.gate = None
    hub.fetched.clear()
    entry = next(entry for entry in make_store().list_models() if entry.name == REPO)
    assert entry.problem
    seen: list[DownloadProgress] = []
    entry = await make_store().pull(REPO, on_progress=seen.append)
    assert entry.problem == ""
    asked = next(asked for name, asked in hub.fetched if name == WEIGHTS)
    assert asked.startswith("bytes=")
    assert 0 < seen[0].done_bytes < seen[0].total_bytes
    assert seen[-1].done_bytes == seen[-1].total_bytes


def _enlarged(weights: bytes) -> bytes:
    """Return the same weights and 2 MB more, so that a download has a middle."""
    import torch
    from safetensors.torch import load, save

    enlarged: bytes = save({**load(weights), "more": torch.zeros(500_000)}, {"format": "pt"})
    return enlarged


async def test_damaged_weights_are_not_kept(hub: Hub, make_store: StoreMaker) -> None:
    """Bytes that are not what the hub promised are thrown away, and the next pull is whole."""
    promised = hub.entries()
    good = hub.files[WEIGHTS]
    hub.promised = promised
    hub.files[WEIGHTS] = bytes(len(good))
    with pytest.raises(Unavailable, match="damaged"):
        await make_store().pull(REPO)
    hub.files[WEIGHTS] = good
    assert (await make_store().pull(REPO)).problem == ""


async def test_no_network(make_store: StoreMaker, environment: dict[str, str]) -> None:
    """A hub that does not answer is Unavailable, with the address and what to do."""
    environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    with pytest.raises(Unavailable) as caught:
        await make_store().pull(REPO)
    assert "127.0.0.1:9" in caught.value.message
    assert "HF_ENDPOINT" in caught.value.hint


async def test_offline_by_wish(make_store: StoreMaker, environment: dict[str, str]) -> None:
    """HF_HUB_OFFLINE is obeyed before anything is asked."""
    environment["HF_HUB_OFFLINE"] = "1"
    with pytest.raises(Unavailable, match="HF_HUB_OFFLINE"):
        await make_store().pull(REPO)


async def test_what_the_hub_does_not_have(hub: Hub, make_store: StoreMaker) -> None:
    """An unknown model or revision is NotFound."""
    with pytest.raises(NotFound, match="Nobody/Nothing"):
        await make_store().pull("Nobody/Nothing")
    with pytest.raises(NotFound, match="v99"):
        await make_store().pull(REPO, "v99")


async def test_a_gated_model(hub: Hub, make_store: StoreMaker) -> None:
    """A licence that was not accepted is Denied, with the page to accept it on."""
    hub.is_gated = True
    with pytest.raises(Denied) as caught:
        await make_store().pull(REPO)
    assert REPO in caught.value.hint


async def test_too_large_for_the_disk(hub: Hub, make_store: StoreMaker) -> None:
    """The room is checked before the first byte of weights."""
    hub.claimed_size = 10**17
    with pytest.raises(StorageUnavailable, match="MB are free"):
        await make_store().pull(REPO)
    assert hub.fetched == []


async def test_a_repository_without_weights(hub: Hub, make_store: StoreMaker) -> None:
    """A repository with pickled weights only is refused before the download."""
    del hub.files[WEIGHTS]
    with pytest.raises(NotAModel, match="safetensors"):
        await make_store().pull(REPO)


@pytest.mark.parametrize("name", ["", "plain", "../../etc/passwd", "a/b/c", "a b/c", "/a"])
async def test_an_id_of_the_wrong_form(name: str, make_store: StoreMaker) -> None:
    """An id is OWNER/NAME; anything else never reaches the network."""
    with pytest.raises(InvalidInput, match="no id"):
        await make_store().pull(name)
