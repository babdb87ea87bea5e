"""What one call of `skillspace chat` asks for, checked, and how it becomes a request.

Shared by the one-shot and the interactive chat. Defaults come from the settings; a value out
of its range is refused with the flag's name before anything is opened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skillspace.core.errors import InvalidInput
from skillspace.core.text import t
from skillspace.core.values import Sampling

if TYPE_CHECKING:
    from skillspace.core.app import SkillSpace
    from skillspace.core.chat.values import Ask

LAST = "last"


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The options of `skillspace chat`; None leaves a value to the session or the settings.

    Args:
        session: Id, title or beginning of a title of the conversation to go on with.
        go_on: The conversation used last.
        save: False keeps nothing.
        as_json, by_event: JSON instead of text; one object per event.
        raw: Plain text on a terminal too.
    """

    session: str | None = None
    go_on: bool = False
    model: str | None = None
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    show_thinking: bool | None = None
    resume_id: int | None = None
    save: bool = True
    as_json: bool = False
    by_event: bool = False
    raw: bool = False

    def check(self) -> None:
        """Refuse values out of range and options that contradict each other.

        Raises:
            InvalidInput: Names the flag and what it allows.
        """
        ranges: tuple[tuple[str, float | None, Callable[[float], bool], str], ...] = (
            ("--temperature", self.temperature, lambda x: 0 <= x <= 2, t("0 to 2")),
            ("--top-p", self.top_p, lambda x: 0 < x <= 1, t("above 0, up to 1")),
            ("--top-k", self.top_k, lambda x: 0 <= x <= 1_000_000, t("0 to 1000000")),
            ("--max-tokens", self.max_tokens, lambda x: 1 <= x <= 1_000_000, t("1 to 1000000")),
            ("--seed", self.seed, lambda x: 0 <= x < 2**63, t("0 to 9223372036854775807")),
        )
        for flag, value, is_fine, allowed in ranges:
            if value is not None and not is_fine(value):
                raise InvalidInput(
                    t(
                        "{flag} is {value}; allowed is {range}.",
                        flag=flag,
                        value=value,
                        range=allowed,
                    )
                )
        if self.by_event and not self.as_json:
            raise InvalidInput(t("--stream needs --json."))
        clashes = (
            (self.go_on and self.session is not None, "--continue", "--session"),
            (not self.save and self.go_on, "--no-save", "--continue"),
            (not self.save and self.session is not None, "--no-save", "--session"),
        )
        for clash, one, other in clashes:
            if clash:
                raise InvalidInput(
                    t("{one} and {other} contradict each other.", one=one, other=other)
                )

    def sampling(self, space: "SkillSpace") -> Sampling:
        """Return how tokens are drawn: these wishes over the settings."""
        chat = space.settings.chat
        return Sampling(
            temperature=chat.temperature if self.temperature is None else self.temperature,
            top_p=chat.top_p if self.top_p is None else self.top_p,
            top_k=chat.top_k if self.top_k is None else self.top_k,
            max_tokens=self.max_tokens or chat.max_tokens or None,
            seed=self.seed,
            stop=self.stop,
        )

    async def session_id(self, space: "SkillSpace") -> int | None:
        """Find the conversation to go on with; None begins a new one.

        Raises:
            NotFound: There is none of that name, or more than one.
        """
        name = LAST if self.go_on else self.session
        if name is None:
            return None
        return (await space.sessions.find(space.actor, name)).id

    def shows_thinking(self, space: "SkillSpace") -> bool:
        """Whether the model's thinking is shown."""
        wish = self.show_thinking
        return space.settings.chat.show_thinking if wish is None else wish

    def ask(
        self, space: "SkillSpace", prompt: str, *, context: str = "", session_id: int | None = None
    ) -> "Ask":
        """Return the request for one prompt."""
        from skillspace.core.chat.values import Ask

        return Ask(
            prompt=prompt,
            context=context,
            session_id=session_id,
            system=self.system,
            model=self.model,
            resume_id=self.resume_id,
            sampling=self.sampling(space),
            save=self.save,
        )
