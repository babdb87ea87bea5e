"""The import contracts hold, and each of them would notice a violation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter in a folder that holds the package and its configuration."""
    program = "import sys; from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the package's Python files, to plant violations in."""
    ignore = shutil.ignore_patterns("__pycache__", "models-data", "*.safetensors")
    shutil.copytree(ROOT / "skillspace", tmp_path / "skillspace", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_are_kept() -> None:
    """No module imports upwards, faces import no SQL, nobody but the adapter a model library."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("skillspace/core/planted_face.py", "import skillspace.cli.run"),
        ("skillspace/core/tasks/planted.py", "from skillspace.core.chat import service"),
        ("skillspace/cli/planted.py", "import sqlalchemy"),
        ("skillspace/core/chat/planted.py", "def late():\n    import torch"),
        ("skillspace/core/newroom.py", "x = 1"),
    ],
)
def test_a_planted_violation_is_caught(copy: Path, module: str, line: str) -> None:
    """Each contract breaks when its rule is broken, function-level imports counted."""
    (copy / module).write_text(line + "\n")
    done = lint_imports(copy)
    assert done.returncode != 0, done.stdout
