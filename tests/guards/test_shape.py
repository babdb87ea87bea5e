"""The code keeps its shape: sizes, names, reasons, docstrings; each rule sees its own breach."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = sorted((ROOT / "skillspace").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MOST_LINES = 400
MOST_FUNCTION_LINES = 60
MOST_PARAMETERS = 6
VAGUE = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
GENERATED = {"generated.py"}

Rule = Callable[[str, str], Iterator[str]]


def long_module(name: str, source: str) -> Iterator[str]:
    """A module near 400 lines is two ideas."""
    if Path(name).name not in GENERATED and source.count("\n") > MOST_LINES:
        yield f"{name}: {source.count(chr(10))} lines"


def vague_name(name: str, source: str) -> Iterator[str]:
    """A module's name says what it is about."""
    if Path(name).stem in VAGUE:
        yield f"{name}: says nothing"


def big_function(name: str, source: str) -> Iterator[str]:
    """A function past 60 lines or 6 parameters is two; a command's parameters are its options."""
    if Path(name).name in GENERATED or "migrations/versions" in name:
        return
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = [n for n in node.body if not _is_docstring(n)] or node.body
        lines = (node.end_lineno or 0) - body[0].lineno + 1
        if lines > MOST_FUNCTION_LINES:
            yield f"{name}:{node.lineno} {node.name}: {lines} lines"
        positional = [*node.args.posonlyargs, *node.args.args]
        named = [arg for arg in positional if arg.arg not in ("self", "cls")]
        if len(named) > MOST_PARAMETERS and not _is_command(node):
            yield f"{name}:{node.lineno} {node.name}: {len(named)} parameters"


def unexplained_exception(name: str, source: str) -> Iterator[str]:
    """A silenced check names its code and its reason."""
    explained = re.compile(
        r"(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|\[[a-z-]+(,\s*[a-z-]+)*\])\s+(#|-)\s+\S"
    )
    for number, line in enumerate(source.splitlines(), 1):
        for found in re.finditer(r"#\s*(noqa|type: ignore)(.*)", line):
            if not explained.match(found.group(2)):
                yield f"{name}:{number}: {line.strip()}"


def silent_test(name: str, source: str) -> Iterator[str]:
    """Every test says in its docstring what must hold."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and not ast.get_docstring(node)
        ):
            yield f"{name}:{node.lineno} {node.name}"


def leftover_word(name: str, source: str) -> Iterator[str]:
    """Unfinished work does not hide behind a word."""
    words = r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b"
    for number, line in enumerate(source.splitlines(), 1):
        if re.search(words, line):
            yield f"{name}:{number}: {line.strip()}"


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it is registered with Typer, by a decorator or by its context parameter."""
    first = node.args.args[0] if node.args.args else None
    return (
        first is not None
        and first.annotation is not None
        and ("typer.Context" in ast.unparse(first.annotation))
    )


def breaches(rule: Rule, files: list[Path]) -> list[str]:
    """Run a rule over files."""
    assert len(files) > 10, "the guard looks at nothing"
    return [
        breach
        for path in files
        for breach in rule(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(
    "rule", [long_module, vague_name, big_function, unexplained_exception, leftover_word]
)
def test_product_keeps_its_shape(rule: Rule) -> None:
    """No module of the product breaks the rule."""
    assert breaches(rule, PRODUCT) == []


def test_every_test_says_what_must_hold() -> None:
    """Every test has a docstring."""
    assert breaches(silent_test, TESTS) == []


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (long_module, "a.py", "x = 1\n" * 401),
        (vague_name, "core/utils.py", ""),
        (big_function, "a.py", "def f():\n" + "    x = 1\n" * 61),
        (big_function, "a.py", "def f(a, b, c, d, e, g, h): ...\n"),
        (unexplained_exception, "a.py", "import os  # " + "noqa: F401\n"),
        (unexplained_exception, "a.py", "x = f()  # type" + ": ignore[misc]\n"),
        (leftover_word, "a.py", "# TO" + "DO later\n"),
        (silent_test, "a.py", "def test_x():\n    assert 1\n"),
    ],
)
def test_each_rule_sees_its_breach(rule: Rule, name: str, source: str) -> None:
    """A rule that cannot fail guards nothing."""
    assert list(rule(name, source))
