"""The models of a machine: found by reading files, chosen by a rule, kept safe from accidents."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skillspace.core.errors import Conflict, InvalidInput, NotAModel, NotFound
from skillspace.core.models.choice import LARGE, ModelEntry, choose_model
from skillspace.core.models.hub_cache import downloads, hub_cache_folder
from skillspace.core.models.memory import free_gpu_bytes, free_memory_bytes
from skillspace.core.models.store import model_names
from tests.core.models.conftest import REPO, StoreMaker, put_in_cache

GIB = 2**30


def entry(name: str, parameters: int = 500_000_000, problem: str = "") -> ModelEntry:
    """Return a downloaded model."""
    return ModelEntry(
        name=name, path=f"/m/{name}", source="hub", parameters=parameters, problem=problem
    )


BUNDLED = ModelEntry(name="skillspace-tiny", path="/m/tiny", source="bundled")
HALF, ONE_AND_A_HALF = (
    entry("Qwen/Qwen2.5-0.5B-Instruct"),
    entry("Qwen/Qwen2.5-1.5B-Instruct", 1_500_000_000),
)
SEVEN = entry(LARGE, 7_600_000_000)


@pytest.mark.parametrize(
    ("here", "gpu", "memory", "can_quantise", "name", "quantise"),
    [
        ([], None, 8 * GIB, True, "skillspace-tiny", "none"),
        ([HALF], None, 8 * GIB, True, HALF.name, "none"),
        ([HALF, ONE_AND_A_HALF], None, 8 * GIB, True, ONE_AND_A_HALF.name, "none"),
        ([HALF, ONE_AND_A_HALF], None, 2 * GIB, True, HALF.name, "none"),
        ([HALF], None, GIB, True, "skillspace-tiny", "none"),
        ([HALF], None, None, True, HALF.name, "none"),
        ([SEVEN], None, 64 * GIB, True, "skillspace-tiny", "none"),
        ([SEVEN], 8 * GIB, 64 * GIB, True, LARGE, "4bit"),
        ([SEVEN, HALF], 4 * GIB, 64 * GIB, True, HALF.name, "none"),
        ([SEVEN, HALF], 8 * GIB, 64 * GIB, False, HALF.name, "none"),
        ([entry(LARGE, problem="broken"), HALF], 8 * GIB, 64 * GIB, True, HALF.name, "none"),
        ([entry("Someone/else")], 8 * GIB, 64 * GIB, True, "skillspace-tiny", "none"),
    ],
)
def test_auto(
    here: list[ModelEntry],
    gpu: int | None,
    memory: int | None,
    can_quantise: bool,
    name: str,
    quantise: str,
) -> None:
    """The rule: large in 4 bits on a GPU with room, else the largest small one that fits."""
    choice = choose_model(
        [BUNDLED, *here],
        free_gpu_bytes=lambda: gpu,
        free_memory_bytes=lambda: memory,
        can_quantise=can_quantise,
    )
    assert (choice.name, choice.quantise) == (name, quantise)
    assert choice.why
    assert choice.is_demo == bool(choice.notice) == (name == "skillspace-tiny")


def test_a_machine_without_downloads(make_store: StoreMaker) -> None:
    """The bundled model is listed with its facts and answers, with one line on a better one."""
    (only,) = make_store().list_models()
    assert (only.name, only.source, only.is_default) == ("skillspace-tiny", "bundled", True)
    assert only.parameters
    assert only.context_tokens == 512
    assert only.architecture == "Qwen2ForCausalLM"
    assert only.size_bytes > 4 * only.parameters
    assert "skillspace model pull" in make_store().resolve().notice


def test_asking_for_the_demo_by_name_needs_no_notice(make_store: StoreMaker) -> None:
    """Whoever names the bundled model knows what it is."""
    choice = make_store().resolve("skillspace-tiny")
    assert choice.is_demo
    assert choice.notice == ""


def test_a_download_is_found_and_chosen(
    make_store: StoreMaker, environment: dict[str, str], tiny_model: Path
) -> None:
    """A small instruct model in the cache is listed, answers, and is found by its last part."""
    snapshot = put_in_cache(environment, REPO, tiny_model)
    entries = {entry.name: entry for entry in make_store().list_models()}
    assert entries[REPO].is_default
    assert entries[REPO].path == str(snapshot)
    assert make_store().resolve("auto").path == snapshot
    assert make_store().resolve("qwen2.5-0.5b-instruct").name == REPO
    assert set(model_names(make_store())) == {"skillspace-tiny", REPO}


def test_an_unfinished_download_is_listed_but_not_chosen(
    make_store: StoreMaker, environment: dict[str, str], tiny_model: Path
) -> None:
    """What lacks its weights has a problem; naming it raises the error that says what."""
    snapshot = put_in_cache(environment, REPO, tiny_model)
    (snapshot / "model.safetensors").unlink()
    found = next(entry for entry in make_store().list_models() if entry.name == REPO)
    assert "model.safetensors" in found.problem
    assert make_store().resolve("auto").is_demo
    with pytest.raises(NotAModel, match="safetensors"):
        make_store().resolve(REPO)


def test_a_download_that_never_began(make_store: StoreMaker, environment: dict[str, str]) -> None:
    """A cache folder without a snapshot is a problem, not a crash."""
    folder = hub_cache_folder(environment) / f"models--{REPO.replace('/', '--')}"
    folder.mkdir(parents=True)
    found = next(entry for entry in make_store().list_models() if entry.name == REPO)
    assert found.problem


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "/c", "HF_HOME": "/h"}, "/c"),
        ({"HF_HOME": "/h", "HOME": "/u"}, "/h/hub"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/u"}, "/x/huggingface/hub"),
        ({"HOME": "/u"}, "/u/.cache/huggingface/hub"),
    ],
)
def test_where_the_cache_is(variables: dict[str, str], expected: str) -> None:
    """The hub library's own variables count, in its order."""
    assert hub_cache_folder(variables) == Path(expected)


def test_no_cache_is_no_error(tmp_path: Path) -> None:
    """A cache that was never made holds nothing."""
    assert list(downloads(tmp_path / "none")) == []


def test_without_main_the_newest_snapshot_counts(
    environment: dict[str, str], tiny_model: Path
) -> None:
    """A model that was pulled by tag or commit has no `main`, and is found all the same."""
    snapshot = put_in_cache(environment, REPO, tiny_model)
    shutil.rmtree(snapshot.parents[1] / "refs")
    (found,) = downloads(hub_cache_folder(environment))
    assert found.snapshot == snapshot


def test_an_unknown_name_has_a_way_on(make_store: StoreMaker) -> None:
    """Near names and the command that downloads it, and a plain no for a folder."""
    with pytest.raises(NotFound) as caught:
        make_store().resolve("Qwen/Qwen2.5-0.5B-Instrukt")
    assert REPO in caught.value.hint
    assert f"skillspace model pull {REPO}" in caught.value.hint
    with pytest.raises(NotFound) as caught:
        make_store().resolve("Someone/something-else")
    assert "skillspace model pull Someone/something-else" in caught.value.hint
    with pytest.raises(NotFound, match="no folder"):
        make_store().resolve("./nowhere")
    with pytest.raises(NotFound) as caught:
        make_store().resolve("zzz")
    assert "skillspace model list" in caught.value.hint


def test_a_folder_by_path(make_store: StoreMaker, tiny_model: Path, tmp_path: Path) -> None:
    """A path is a model; a folder that is none says what it lacks."""
    choice = make_store().resolve(str(tiny_model))
    assert (choice.path, choice.is_demo) == (tiny_model, False)
    with pytest.raises(NotAModel, match=r"config\.json"):
        make_store().resolve(str(tmp_path))
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(NotAModel, match="no folder"):
        make_store().resolve(str(file))


def test_the_configured_folder_is_listed(make_store: StoreMaker, tiny_model: Path) -> None:
    """A folder that is set to answer is in the list and is the default."""
    default = next(entry for entry in make_store(str(tiny_model)).list_models() if entry.is_default)
    assert (default.source, default.path) == ("folder", str(tiny_model))


@pytest.mark.parametrize("gone", ["Someone/gone", "/nowhere/at/all", "gone"])
def test_a_configured_model_that_is_gone(make_store: StoreMaker, gone: str) -> None:
    """The list still works, without a default."""
    assert not any(entry.is_default for entry in make_store(gone).list_models())


def test_use_is_kept(make_store: StoreMaker, tiny_model: Path) -> None:
    """What was chosen answers from the next command on; auto takes it back."""
    make_store().use(str(tiny_model))
    default = next(entry for entry in make_store().list_models() if entry.is_default)
    assert default.path == str(tiny_model)
    make_store().use("auto")
    assert make_store().resolve("auto").is_demo
    with pytest.raises(NotFound):
        make_store().use("nothing")


def test_remove_deletes_a_download(
    make_store: StoreMaker, environment: dict[str, str], tiny_model: Path
) -> None:
    """Its folder is gone, other downloads stay, and what was freed is said."""
    snapshot = put_in_cache(environment, REPO, tiny_model)
    other = put_in_cache(environment, "Someone/other", tiny_model)
    planned = make_store().removable(REPO)
    assert planned.size_bytes > 0
    assert make_store().remove(REPO).size_bytes == planned.size_bytes
    assert not snapshot.parents[1].exists()
    assert other.exists()
    assert [path.name for path in hub_cache_folder(environment).iterdir()] == [
        "models--Someone--other"
    ]


def test_what_is_never_removed(
    make_store: StoreMaker, environment: dict[str, str], tiny_model: Path
) -> None:
    """The bundled model, a folder of one's own, and the model that is set to answer."""
    put_in_cache(environment, REPO, tiny_model)
    with pytest.raises(InvalidInput):
        make_store().remove("skillspace-tiny")
    with pytest.raises(InvalidInput):
        make_store().remove(str(tiny_model))
    with pytest.raises(Conflict, match=REPO):
        make_store(REPO).remove(REPO)
    with pytest.raises(NotFound):
        make_store().remove("nothing")
    assert (tiny_model / "config.json").exists()


def test_gpu_memory_is_read_from_nvidia_smi(environment: dict[str, str]) -> None:
    """The number of nvidia-smi counts; a hidden GPU, a failing or missing program is no GPU."""
    assert free_gpu_bytes(environment) is None
    program = Path(environment["PATH"]) / "nvidia-smi"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\ncase "$*" in *--id=0*) echo 8192;; *) echo 1024;; esac\n')
    program.chmod(0o755)
    assert free_gpu_bytes(environment) == 8 * GIB
    assert free_gpu_bytes({**environment, "CUDA_VISIBLE_DEVICES": "1,0"}) == GIB
    assert free_gpu_bytes({**environment, "CUDA_VISIBLE_DEVICES": ""}) is None
    program.write_text("#!/bin/sh\nexit 9\n")
    assert free_gpu_bytes(environment) is None
    program.write_text("#!/bin/sh\necho 'No devices were found'\n")
    assert free_gpu_bytes(environment) is None


def test_free_memory_is_a_number_or_unknown() -> None:
    """Where it can be read it is more than nothing."""
    free = free_memory_bytes()
    assert free is None or free > 0


def test_packed_weights_have_no_parameter_count(
    make_store: StoreMaker, tiny_model: Path, tmp_path: Path
) -> None:
    """A checkpoint that is quantised already is listed without a count that would be wrong."""
    folder = tmp_path / "packed"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"x": 1}}))
    assert make_store().find(str(folder)).parameters is None


def test_the_store_loads_no_model_library() -> None:
    """Listing and choosing models never imports a model library or the hub's."""
    program = (
        "import os, sys\n"
        "from skillspace.core.models.store import ModelStore\n"
        "from skillspace.core.settings_sources import load_settings\n"
        "environment = {'HOME': '/nowhere', 'PATH': ''}\n"
        "store = ModelStore(load_settings(environment).settings, environment)\n"
        "store.list_models(); store.resolve()\n"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'numpy', 'sqlalchemy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("header", [b'{"a": {"data_offsets": [0, 0]}}', b'{"a\xff": {}}'])
def test_a_broken_header_is_told_as_a_problem(
    make_store: StoreMaker,
    environment: dict[str, str],
    tiny_model: Path,
    header: bytes,
) -> None:
    """One damaged download does not keep the other models from being listed."""
    snapshot = put_in_cache(environment, REPO, tiny_model)
    weights = snapshot / "model.safetensors"
    weights.unlink()
    weights.write_bytes(len(header).to_bytes(8, "little") + header)
    (entry,) = [one for one in make_store().list_models() if one.name == REPO]
    assert entry.problem
