"""The language of help texts, known before the settings are read.

Called by the front door and by `cli.main`, because a command's help is written in the
reader's language when its module is imported. Never fails: a broken `config.toml` is reported
later, by the settings, with its line.
"""

from __future__ import annotations

from skillspace.core.home import peek_setting

# Naming types costs a completion several milliseconds; type checkers know this constant.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def early_language(environment: Mapping[str, str], flag: str = "") -> str:
    """Return en or zh: from the flag, SKILLSPACE_LANGUAGE, `config.toml`, or the locale.

    Args:
        environment: Usually `os.environ`.
        flag: What `--lang` says; empty when it was not given.
    """
    wish = flag or peek_setting(environment, "language")
    if wish in ("en", "zh"):
        return wish
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        locale = environment.get(name)
        if locale:
            return "zh" if locale.lower().startswith("zh") else "en"
    return "en"


def lang_flag(args: Sequence[str]) -> str:
    """Return the value of a `--lang` before the command's name; empty without one."""
    words = iter(args)
    for word in words:
        if word == "--lang":
            return next(words, "")
        if word.startswith("--lang="):
            return word.partition("=")[2]
        if not word.startswith("-"):
            break
    return ""
