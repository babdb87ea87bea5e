"""Plain frozen values that cross floors: who acts, what is asked of an engine, what comes back.

Imports nothing of ours. All of them are `msgspec` structs: typed, immutable, and
JSON-ready without a second definition.
"""

from typing import Literal

import msgspec

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled"]


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The root of all values: frozen, keyword-only, tolerant of fields a newer writer added."""


class Actor(Value, frozen=True, kw_only=True):
    """Somebody acting now: the first argument of every service method.

    Args:
        user_id: Row id of the user.
        name: Login name, for logs and messages.
        via: The face they came through: cli, tui, http, worker.
        is_superuser: Passes every permission check.
        permissions: Permission strings held at this moment, such as `chat:session:view`.
    """

    user_id: int
    name: str
    via: str = "cli"
    is_superuser: bool = False
    permissions: frozenset[str] = frozenset()


class PromptMessage(Value, frozen=True, kw_only=True):
    """One turn of what a model reads."""

    role: Role
    text: str


class Sampling(Value, frozen=True, kw_only=True):
    """How the next token is drawn.

    Args:
        temperature: 0 takes the likeliest token always; 0–2.
        top_p: Keep the smallest set of tokens with this much probability; (0, 1].
        top_k: Keep this many tokens; 0 means all.
        max_tokens: New tokens at most; None lets the model's context decide.
        seed: Same seed, prompt and model give the same text; None draws a fresh one.
        stop: Strings that end the answer; they are not part of it.
    """

    temperature: float = 0.7
    top_p: float = 0.8
    top_k: int = 20
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


class GenerateRequest(Value, frozen=True, kw_only=True):
    """What an engine is asked: the turns, in order, and how to draw tokens."""

    messages: tuple[PromptMessage, ...]
    sampling: Sampling = Sampling()


class Usage(Value, frozen=True, kw_only=True):
    """Tokens read and written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Piece(Value, frozen=True, kw_only=True):
    """A part of a generated text, never half a character.

    Args:
        text: May be empty in the last piece.
        tokens: How many tokens this piece stands for.
        finish_reason: Set on the last piece only.
        usage: Set on the last piece only.
    """

    text: str
    tokens: int = 1
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


class EngineInfo(Value, frozen=True, kw_only=True):
    """What an engine is, for people and for cutting history.

    Args:
        model: Name people know it by, such as `skillspace-tiny`.
        context_tokens: Prompt and answer together may have this many tokens.
        device: cpu, cuda:0, remote …
        dtype: bfloat16, float32, nf4 …
        why: One line on how the model, device and dtype were chosen.
        is_demo: True for the bundled model, which only knows a few hundred questions.
    """

    model: str
    context_tokens: int
    device: str = "cpu"
    dtype: str = "float32"
    why: str = ""
    is_demo: bool = False
