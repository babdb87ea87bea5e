"""What cannot be used is refused: a clear line, the right code, and nothing lost or half-made.

Every command here is a real process on a home of its own.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.command_line import (
    CommandLine,
    copy_of,
    disk,
    finish,
    may_mount,
    mount,
    running,
)

CONFIG = '[chat]\nsystem = "Be brief."\n'


def wrong_model(kind: str, tiny_model: Path, folder: Path) -> tuple[str, int, str]:
    """Return a model that cannot answer, the exit code it deserves, and what must be named."""
    weights = (tiny_model / "model.safetensors").read_bytes()
    if kind == "unknown":
        return "nobody/nowhere-9b", 5, "nobody/nowhere-9b"
    if kind == "no such folder":
        return str(folder), 5, str(folder)
    if kind == "no model":
        folder.mkdir()
        (folder / "readme.txt").write_text("hello")
        return str(folder), 2, str(folder)
    broken = {
        "cut short": ("model.safetensors", weights[: len(weights) // 2]),
        "empty": ("model.safetensors", b""),
        "garbage": ("model.safetensors", bytes(range(256)) * 100),
        "no config": ("config.json", b"{"),
    }[kind]
    copy_of(tiny_model, folder, [broken])
    return str(folder), 2, str(folder)


@pytest.mark.parametrize(
    "kind",
    ["unknown", "no such folder", "no model", "cut short", "empty", "garbage", "no config"],
)
def test_a_model_that_cannot_answer(
    line: CommandLine, tiny_model: Path, tmp_path: Path, kind: str
) -> None:
    """The model is named, the prompt is kept in its session, its answer is marked as failed."""
    line.home.mkdir()
    (line.home / "config.toml").write_text(CONFIG)
    model, code, named = wrong_model(kind, tiny_model, tmp_path / "model")
    line.run("chat", "--model", model, "keep me").refused(code, named)
    assert line.turns() == [("user", "complete", "keep me"), ("assistant", "failed", "")]
    task = line.read("task", "show", "last")
    assert (task["state"], named in task["error"]["message"]) == ("FAILURE", True)
    assert (line.home / "config.toml").read_text() == CONFIG
    assert line.is_sound()


def test_a_prompt_longer_than_the_context(line: CommandLine, tiny_model: Path) -> None:
    """It is refused with both numbers before a word is said, and kept to be shortened."""
    long = "word " * 1000
    done = line.run("chat", "--model", str(tiny_model), "summarise", stdin=long.encode())
    done.refused(2, "tokens", "512")
    (_, _, prompt), answer = line.turns()
    assert prompt == f"{long.strip(chr(10))}\n\nsummarise"
    assert answer == ("assistant", "failed", "")


@pytest.mark.parametrize(
    ("args", "stdin", "named"),
    [
        (["chat"], b"", "empty"),
        (["chat", ""], b" \n", "empty"),
        (["chat", "-"], b"", "empty"),
        (["chat", "summarise"], b"abc\xff\xfe", "byte 3"),
        (["chat", "summarise"], "简历".encode("gb18030"), "byte 0"),
        (["chat", "--temperature", "hot", "hi"], b"", "--temperature"),
    ],
)
def test_a_prompt_that_is_none(
    line: CommandLine, args: list[str], stdin: bytes, named: str
) -> None:
    """No prompt, or bytes that are no text, exit 2 before anything is made."""
    line.run(*args, stdin=stdin).refused(2, named)
    assert not line.home.exists()


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        (["chat", "-m", "any", b"caf\xe9"], b""),
        (["chat", "--model", b"/models/\xff", "hi"], b""),
        (["chat", "-s", b"caf\xe9", "hi"], b""),
        (["session", "search", b"caf\xe9"], b""),
        (["chat", "-m", "any"], b"a\0b"),
    ],
)
def test_words_that_are_no_text(line: CommandLine, args: list[str | bytes], stdin: bytes) -> None:
    """Broken bytes on the command line, and NUL on stdin, exit 2 and are not kept."""
    line.run(*args, stdin=stdin).refused(2, "not")
    assert line.read("session", "list") == []
    assert line.is_sound()


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("[chat]\ntemprature = 1\n", ":2:1", "chat.temperature"),
        ("[chat]\ntemperature = 9\n", ":2:", ""),
        ("[chat\n", ":1:", ""),
        ('languag = "zh"\n', ":1:1", "language"),
    ],
)
def test_a_typo_in_the_settings(line: CommandLine, text: str, place: str, hint: str) -> None:
    """File, line and column are named, with the nearest name; nothing else is made."""
    line.home.mkdir()
    config = line.home / "config.toml"
    config.write_text(text)
    done = line.run("chat", "hi")
    done.refused(2, f"{config}{place}")
    assert hint in done.err
    assert line.files() == {"config.toml": text.encode()}


def test_a_wrong_variable(line: CommandLine) -> None:
    """A variable that is no setting, or holds no value for it, is named."""
    done = line.run("chat", "hi", SKILLSPACE_CHAT_TEMPERATUR="1")
    done.refused(2, "SKILLSPACE_CHAT_TEMPERATUR")
    assert "SKILLSPACE_CHAT_TEMPERATURE" in done.err
    line.run("chat", "hi", SKILLSPACE_CHAT_TEMPERATURE="hot").refused(
        2, "SKILLSPACE_CHAT_TEMPERATURE"
    )
    assert not line.home.exists()


def test_secrets_that_others_can_read(line: CommandLine) -> None:
    """Nothing runs on secrets that are no secret; the remedy is one command."""
    line.prepare()
    secrets = line.home / "secrets.toml"
    before = secrets.read_bytes()
    secrets.chmod(0o644)
    done = line.run("chat", "hi")
    done.refused(2, str(secrets), "0644")
    assert f"chmod 600 {secrets}" in done.err
    assert secrets.read_bytes() == before


def test_a_database_from_a_newer_version(line: CommandLine) -> None:
    """It is left as it is, and its schema is named."""
    line.prepare()
    with closing(sqlite3.connect(line.database)) as base, base:
        base.execute("UPDATE alembic_version SET version_num = '9999'")
    before = line.database.read_bytes()
    line.run("chat", "hi").refused(6, str(line.database), "9999")
    line.run("session", "list").refused(6, str(line.database), "9999")
    assert line.database.read_bytes() == before


@pytest.mark.parametrize("kind", ["no database", "damaged"])
def test_a_broken_database_file(line: CommandLine, kind: str) -> None:
    """The file is named, left as it is, and the way to a backup is told."""
    if kind == "damaged":
        line.prepare()
        content = bytearray(line.database.read_bytes())
        content[4096 : 8 * 4096] = b"\xaa" * 7 * 4096
    else:
        line.database.parent.mkdir(parents=True)
        content = bytearray(b"these bytes are no database " * 400)
    line.database.write_bytes(content)
    done = line.run("chat", "hi")
    done.refused(3, str(line.database))
    assert "skillspace db restore" in done.err
    assert line.database.read_bytes() == content


def test_first_starts_at_once(line: CommandLine) -> None:
    """Many processes that find no home at the same moment all succeed on one of it."""
    processes = [line.start("task", "list", "--json") for _ in range(6)]
    done = [finish(process) for process in processes]
    assert done == [(0, "[]\n", "")] * len(done)
    assert line.is_sound()
    secrets = (line.home / "secrets.toml").read_bytes()
    line.prepare()
    assert (line.home / "secrets.toml").read_bytes() == secrets
    assert not list(line.home.glob(".secrets-*"))


@may_mount
def test_a_home_on_a_read_only_disk(line: CommandLine) -> None:
    """A new home and one with a database exit 3, say read-only, and change nothing."""
    with disk(line.home, "ro", "size=1m"):
        line.run("chat", "hi").refused(3, str(line.home), "read-only")
        line.run("config", "set", "language", "zh").refused(3, str(line.home), "read-only")
    with disk(line.home, "size=4m"):
        line.prepare()
        before = line.files()
        mount("-o", "remount,ro", str(line.home))
        line.run("chat", "hi").refused(3, str(line.home), "read-only")
        line.run("session", "list").refused(3, str(line.home), "read-only")
        assert line.files() == before


@may_mount
def test_a_disk_that_is_full_at_the_start(line: CommandLine) -> None:
    """Wherever a first start runs out of space it exits 3; with space again it goes on."""
    for size in ("4k", "64k"):
        with disk(line.home, f"size={size}"):
            if size == "4k":
                (line.home / "other").write_bytes(bytes(4096))
            line.run("chat", "hi").refused(3, "full", str(line.home))
            mount("-o", "remount,size=4m", str(line.home))
            line.prepare()
            assert line.is_sound()


@may_mount
def test_a_disk_that_fills_during_an_answer(line: CommandLine, endless_model: Path) -> None:
    """What was shown before is kept, and read when there is space again."""
    with disk(line.home, "size=640k"):
        line.prepare()
        options = ("--model", str(endless_model), "--max-tokens", "50000", "--temperature", "1")
        with running(line.start("chat", *options, "keep me")) as process:
            done = finish(process)
        assert done.code == 3, done
        *_, error, hint = done.err.splitlines()
        assert error.startswith("error: The disk is full: ")
        assert hint.startswith("hint: ")
        assert "Traceback" not in done.err
        shown = done.out.removesuffix("\n")
        assert shown
        mount("-o", "remount,size=8m", str(line.home))
        prompt, answer = line.turns()
        assert prompt == ("user", "complete", "keep me")
        assert answer[:2] == ("assistant", "partial")
        assert answer[2].startswith(shown)
        assert line.read("task", "show", "last")["state"] == "FAILURE"
        assert line.is_sound()
