"""A conversation as a file: Markdown for people, JSON for programs and for keeping.

Called by faces with what `SessionService` returned. The JSON holds every field of every
message, replaced answers too, and decodes back to the same values. Writes no file.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from skillspace.core.chat.values import MessageStatus
from skillspace.core.chat.views import MessageView, SessionView
from skillspace.core.text import t
from skillspace.core.values import Value

SCHEMA: Final = 1


class SessionExport(Value, frozen=True, kw_only=True):
    """A whole conversation.

    Args:
        format: Tells such a file from others.
        schema: Raised when a field changes its meaning or goes; new fields do not raise it.
        exported_at: When.
        session: The conversation.
        messages: Every turn, replaced answers included, oldest first.
    """

    format: Literal["skillspace.session"] = "skillspace.session"
    schema: Literal[1] = SCHEMA
    exported_at: datetime
    session: SessionView
    messages: tuple[MessageView, ...]


def export_json(export: SessionExport) -> str:
    """Return the conversation as indented JSON that ends in a newline."""
    return msgspec.json.format(msgspec.json.encode(export), indent=2).decode() + "\n"


def export_markdown(session: SessionView, messages: Sequence[MessageView]) -> str:
    """Return the conversation as a Markdown document.

    Args:
        session: Its title becomes the heading.
        messages: Oldest first; replaced ones are left out.
    """
    parts = [f"# {session.title}"]
    if session.system:
        parts.append("\n".join(f"> {line}".rstrip() for line in session.system.split("\n")))
    for message in messages:
        if message.superseded_at is None:
            parts += _turn(message)
    return "\n\n".join(parts) + "\n"


def _turn(message: MessageView) -> list[str]:
    who = t("You") if message.role == "user" else t("Assistant")
    moment = message.created_at.strftime("%Y-%m-%d %H:%M UTC")
    about = f"{message.model}, {moment}" if message.model else moment
    parts = [f"## {who} ({about})"]
    if message.text:
        parts.append(message.text.strip("\n"))
    note = _note(message.status)
    if note:
        parts.append(f"*{note}*")
    return parts


def _note(status: MessageStatus) -> str:
    """Return what must be said about a message that is not whole; empty for one that is."""
    if status == "partial":
        return t("This answer is not complete: it was stopped.")
    if status == "failed":
        return t("There is no answer: it failed or was stopped before its first word.")
    return t("The answer is still being written.") if status == "pending" else ""
