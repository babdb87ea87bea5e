"""The one catalogue of text for people: English in the code, other languages beside it.

`t("… {name} …", name=value)` looks the English sentence up in the current language's gettext
catalogue and fills in the values. Called everywhere text reaches a person; never for data,
codes or log lines. A missing translation falls back to English, and a check in
`scripts/check` refuses a catalogue that lacks one.
"""

from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final, Protocol

LANGUAGES: Final = ("en", "zh")
_FOLDERS: Final = {"zh": "zh_CN"}
_language: ContextVar[str] = ContextVar("language", default="en")


class _Catalogue(Protocol):
    def gettext(self, message: str) -> str: ...


def set_language(language: str) -> None:
    """Choose the language of every following `t` in this context.

    Args:
        language: en or zh, as `choose_language` returns it.
    """
    _language.set(language if language in LANGUAGES else "en")


def current_language() -> str:
    """Return the language in force: en or zh."""
    return _language.get()


def choose_language(wish: str, environment: dict[str, str]) -> str:
    """Choose en or zh from a setting and the POSIX locale variables.

    Args:
        wish: en, zh, or auto to look at the environment.
        environment: Usually `os.environ`; LC_ALL counts before LC_MESSAGES before LANG.
    """
    if wish in LANGUAGES:
        return wish
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


@cache
def _catalogue(language: str) -> _Catalogue:
    import gettext

    root = Path(__file__).parent.parent / "locale"
    path = root / _FOLDERS[language] / "LC_MESSAGES" / "skillspace.mo"
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)


def t(message: str, **values: object) -> str:
    """Translate one sentence and fill in its values.

    Args:
        message: The English sentence, with `{name}` where a value goes.
        values: What goes there; formatted by `str.format`.
    """
    language = _language.get()
    text = message if language == "en" else _catalogue(language).gettext(message)
    return text.format(**values) if values else text
