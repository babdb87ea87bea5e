"""`skillspace model`: what people and programs see, and what happens without a network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Done
from tests.core.models.conftest import REPO, put_in_cache
from tests.core.models.hub_server import serve_hub

Ask = Callable[..., Done]


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Return an environment with a Hugging Face cache of its own and no hub."""
    environment["HF_HOME"] = str(tmp_path / "hf")
    environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    return environment


def listed(ask: Ask) -> dict[str, dict[str, Any]]:
    """Return what `model list --json` says, by name."""
    done = ask("model", "list", "--json")
    assert done.code == 0
    return {entry["name"]: entry for entry in json.loads(done.out)}


def test_list_on_a_fresh_machine(ask: Ask) -> None:
    """The bundled model is there and answers, and the way to a better one is on stderr."""
    done = ask("model", "list")
    assert done.code == 0
    assert "skillspace-tiny" in done.out
    assert "skillspace model pull" in done.err
    assert ask("--quiet", "model", "list").err == ""


def test_list_marks_the_one_that_answers(
    ask: Ask, environment: dict[str, str], tiny_model: Path
) -> None:
    """A downloaded small model is starred; programs get is_default."""
    put_in_cache(environment, REPO, tiny_model)
    line = next(line for line in ask("model", "list").out.splitlines() if REPO in line)
    assert line.startswith("*")
    assert "512" in line
    assert listed(ask)[REPO]["is_default"] is True
    assert listed(ask)["skillspace-tiny"]["is_default"] is False


def test_show(ask: Ask, environment: dict[str, str], tiny_model: Path) -> None:
    """One model by name, by its last part, as auto, or by folder."""
    snapshot = put_in_cache(environment, REPO, tiny_model)
    for name in (REPO, "qwen2.5-0.5b-instruct", "auto"):
        assert str(snapshot) in ask("model", "show", name).out
    shown = json.loads(ask("model", "show", str(tiny_model), "--json").out)
    assert shown["architecture"] == "Qwen2ForCausalLM"
    assert shown["source"] == "folder"


def test_an_unknown_model(ask: Ask) -> None:
    """Exit code 5, one line, and the command that would download it; JSON for programs."""
    done = ask("model", "show", "Qwen/Qwen2.5-0.5B-Instruc")
    assert done.code == 5
    assert done.out == ""
    assert f"skillspace model pull {REPO}" in done.err
    told = json.loads(ask("model", "show", "nothing", "--json").err)
    assert told["error"]["code"] == "not_found"


def test_a_folder_that_is_no_model(ask: Ask, tmp_path: Path) -> None:
    """Exit code 2, and the message names what is missing."""
    done = ask("model", "use", str(tmp_path))
    assert done.code == 2
    assert "config.json" in done.err


def test_use(ask: Ask, environment: dict[str, str], tiny_model: Path) -> None:
    """The choice is kept for the next command, and a variable that wins is mentioned."""
    assert ask("model", "use", str(tiny_model)).code == 0
    assert listed(ask)[str(tiny_model)]["is_default"] is True
    done = ask("model", "use", str(tiny_model), SKILLSPACE_MODEL_NAME="skillspace-tiny")
    assert "SKILLSPACE_MODEL_NAME" in done.err
    assert ask("model", "use", "auto").code == 0
    assert listed(ask)["skillspace-tiny"]["is_default"] is True


def test_remove_asks_first(ask: Ask, environment: dict[str, str], tiny_model: Path) -> None:
    """Without a terminal and --yes nothing is deleted; a no on a terminal deletes nothing."""
    put_in_cache(environment, REPO, tiny_model)
    assert ask("model", "remove", REPO).code == 2
    assert ask("model", "remove", REPO, stdin="n\n", tty=True).code == 1
    dry = json.loads(ask("model", "remove", REPO, "--dry-run", "--json").out)
    assert dry["freed_bytes"] > 0
    assert dry["is_removed"] is False
    assert REPO in listed(ask)
    assert ask("model", "remove", REPO, "--yes").code == 0
    assert REPO not in listed(ask)


def test_the_model_that_answers_is_not_removed(
    ask: Ask, environment: dict[str, str], tiny_model: Path
) -> None:
    """Exit code 6 and the way out; the bundled model is refused with 2."""
    put_in_cache(environment, REPO, tiny_model)
    ask("model", "use", REPO)
    done = ask("model", "remove", REPO, "--yes")
    assert done.code == 6
    assert "model use auto" in done.err
    assert ask("model", "remove", "skillspace-tiny", "--yes").code == 2


def test_pull_without_a_network(ask: Ask) -> None:
    """Exit code 3, the address that does not answer, and what to do."""
    done = ask("model", "pull", REPO)
    assert done.code == 3
    assert "127.0.0.1:9" in done.err
    assert "hint:" in done.err


@pytest.mark.parametrize("tty", [False, True])
def test_pull(ask: Ask, tiny_model: Path, tty: bool) -> None:
    """Progress goes to stderr, the model is usable, and the next step is said."""
    with serve_hub(tiny_model, REPO) as hub:
        done = ask("model", "pull", REPO, tty=tty, HF_ENDPOINT=hub.url)
    assert done.code == 0
    assert done.out == ""
    assert ("100 %" in done.err) is not tty
    assert REPO in done.err
    assert listed(ask)[REPO]["problem"] == ""


def test_pull_quietly_for_a_program(ask: Ask, tiny_model: Path) -> None:
    """--quiet shows no progress; --json shows the model alone."""
    with serve_hub(tiny_model, REPO) as hub:
        done = ask("--quiet", "model", "pull", REPO, "--json", HF_ENDPOINT=hub.url)
    assert done.err == ""
    assert json.loads(done.out)["name"] == REPO


@pytest.mark.parametrize("args", [("list",), ("show", "skillspace-tiny"), ("use", "auto")])
def test_no_model_library_is_loaded(
    args: tuple[str, ...], loaded_modules: Callable[..., set[str]], tiny_model: Path
) -> None:
    """Looking after models needs no torch, no hub library and no database."""
    loaded = loaded_modules("model", *args)
    assert not loaded & {"torch", "transformers", "huggingface_hub", "numpy", "sqlalchemy"}
