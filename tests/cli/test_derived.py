"""What is derived from the code is current, and a drift would be noticed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT

PARTS = ("skillspace", "scripts", "completions", "docs", "pyproject.toml")


def run(script: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a script of the repository with --check."""
    return subprocess.run(
        [sys.executable, f"scripts/{script}", "--check"],
        cwd=root,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", ["generate", "catalogue"])
def test_everything_derived_is_current(script: str) -> None:
    """The committed files are what the scripts would write."""
    done = run(script)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of what the scripts read and write."""
    ignore = shutil.ignore_patterns("__pycache__", "*.safetensors")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / part, ignore=ignore)
        else:
            shutil.copy(ROOT / part, tmp_path / part)
    return tmp_path


@pytest.mark.parametrize(
    ("script", "path", "old", "new", "named"),
    [
        ("generate", "skillspace/cli/config.py", '"--file"', '"--only"', "cli/generated.py"),
        ("generate", "skillspace/cli/shells.py", "#compdef", "#compdef x", "_skillspace"),
        ("generate", "skillspace/core/settings.py", "= 0.7", "= 0.6", "docs/settings.md"),
        ("generate", "skillspace/cli/exits.py", '"it worked"', '"yes"', "docs/exit-codes.md"),
        ("generate", "pyproject.toml", 'version = "', 'version = "9.', "cli/generated.py"),
        ("catalogue", "skillspace/cli/config.py", "Show and change", "See and change", "See and"),
    ],
)  # fmt: skip
def test_a_drift_is_noticed(
    copy: Path, script: str, path: str, old: str, new: str, named: str
) -> None:
    """A change of the code without its derived file fails the check, which names the file."""
    text = (copy / path).read_text(encoding="utf-8")
    assert old in text
    (copy / path).write_text(text.replace(old, new, 1), encoding="utf-8")
    done = run(script, copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert named in done.stdout


def test_a_stale_catalogue_is_noticed(copy: Path) -> None:
    """A translation that was not compiled, or has other values, fails the check."""
    po = copy / "skillspace/locale/zh_CN/LC_MESSAGES/skillspace.po"
    text = po.read_text(encoding="utf-8")
    assert 'msgstr "默认值"' in text
    po.write_text(text.replace('msgstr "默认值"', 'msgstr "默认 {x}"', 1), encoding="utf-8")
    done = run("catalogue", copy)
    assert done.returncode == 1
    assert "not compiled" in done.stdout
    assert "other values" in done.stdout
