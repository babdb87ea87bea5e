"""Completions: what may stand at the cursor, from the generated tree and the database.

Called by the front door when a shell asks (`_SKILLSPACE_COMPLETE` names it). Answers with
lines `value<TAB>description`, or `:file` and `:folder` for what the shell completes best.
Imports no Typer; never fails, since a shell cannot show why.
"""

from __future__ import annotations

import sys

from skillspace.cli.generated import TREES
from skillspace.cli.language import early_language

# Naming types costs a completion several milliseconds; type checkers know this constant.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


# A node of TREES is (options, arguments, commands): options by name as (kind, description), where
# an empty kind is a flag; arguments as kinds, `...` behind one that repeats; commands by name as
# (description, node). A kind is a tuple of choices, a word such as SESSION, or a mapping from the
# argument before it to choices.


def complete(environment: Mapping[str, str]) -> int:
    """Answer one question of a shell on stdout.

    Args:
        environment: Holds the shell's name, COMP_WORDS (one word per line, the program first)
            and COMP_CWORD (number of the word at the cursor).
    """
    words = environment.get("COMP_WORDS", "").split("\n")
    try:
        position = int(environment.get("COMP_CWORD", ""))
    except ValueError:
        position = len(words) - 1
    words += [""] * (position + 1 - len(words))
    if environment.get("_SKILLSPACE_COMPLETE") == "bash":
        words, position = _join_equals(words, position)
    tree = TREES[early_language(environment)]
    lines = candidates(tree, words[1:position], words[position], environment)
    for value, about in lines:
        # A tab or newline in a title would break the line into another candidate.
        sys.stdout.write(f"{value}\t{' '.join(about.split())}\n" if about else f"{value}\n")
    return 0


def candidates(
    tree: Any, before: list[str], word: str, environment: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return what may stand at the cursor, as value and description.

    Args:
        tree: Of the whole command line.
        before: The words before the cursor, without the program.
        word: What is already typed of the word at the cursor.
        environment: To find the database.
    """
    options, arguments, commands = tree
    waiting: Any = None
    count = 0
    last = ""
    only_arguments = False
    for given in before:
        if waiting is not None:
            waiting = None
        elif given == "--":
            only_arguments = True
        elif given.startswith("-") and len(given) > 1 and not only_arguments:
            name, equals, _ = given.partition("=")
            kind = options.get(name, ("", ""))[0]
            waiting = kind if kind and not equals else None
        elif commands:
            if given not in commands:
                return []
            options, arguments, commands = commands[given][1]
        else:
            count += 1
            last = given
    if waiting is not None:
        return _values(waiting, word, environment)
    if word.startswith("-") and not only_arguments:
        name, equals, start = word.partition("=")
        if equals:
            kind = options.get(name, ("", ""))[0]
            return [(f"{name}={v}", about) for v, about in _values(kind, start, environment)]
        return [(o, about) for o, (_, about) in options.items() if o.startswith(word)]
    if commands:
        return [(c, about) for c, (about, _) in commands.items() if c.startswith(word)]
    if arguments and arguments[-1] == "...":
        kind = arguments[min(count, len(arguments) - 2)]
    else:
        kind = arguments[count] if count < len(arguments) else ""
    if isinstance(kind, dict):
        kind = kind.get(last, "")
    return _values(kind, word, environment)


def _values(kind: Any, word: str, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    if isinstance(kind, tuple):
        return [(value, "") for value in kind if value.startswith(word)]
    if kind in ("FILE", "FOLDER"):
        return [(f":{kind.lower()}", "")]
    if kind in ("SESSION", "TASK", "RESUME", "MODEL"):
        from skillspace.core.db.glance import glance

        return [(v, a) for v, a in glance(kind, environment, word) if v.startswith(word)]
    return []


def _join_equals(words: list[str], position: int) -> tuple[list[str], int]:
    """Join what bash cut at `=`, but leave out the name: bash replaces the value alone."""
    joined: list[str] = []
    at = position
    for number, word in enumerate(words):
        after_option = word == "=" and joined and joined[-1].startswith("--")
        if not after_option or number == position:
            joined.append("" if after_option else word)
        if number == position:
            at = len(joined) - 1
    return joined, at
