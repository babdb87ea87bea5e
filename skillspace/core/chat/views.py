"""Conversations and their messages as everyone outside the tables sees them."""

from datetime import datetime

from skillspace.core.chat.values import MessageStatus
from skillspace.core.values import Role, Value


class SessionView(Value, frozen=True, kw_only=True):
    """A conversation without its messages.

    Args:
        system: Its instruction; empty for none.
        model: What it asks for; empty for the configured one.
        version: Raised by every change.
        message_count: Current messages; replaced answers are not counted.
        last_text: How the newest message with text begins, on one line.
        updated_at: When it was last used.
    """

    id: int
    title: str
    system: str
    model: str
    version: int
    message_count: int
    last_text: str
    created_at: datetime
    updated_at: datetime


class MessageView(Value, frozen=True, kw_only=True):
    """One message.

    Args:
        position: Its place in the conversation; a replaced answer and its successor share one.
        status: partial: it was stopped before its end; failed: there is no answer.
        thinking: What the model thought before it answered.
        superseded_at: When another answer took its place; None for a current one.
    """

    id: int
    session_id: int
    position: int
    role: Role
    status: MessageStatus
    text: str
    thinking: str
    model: str
    task_id: str | None
    prompt_tokens: int
    completion_tokens: int
    created_at: datetime
    superseded_at: datetime | None


class MatchLine(Value, frozen=True, kw_only=True):
    """A place in a message that a search found.

    Args:
        text: The words around the place, on one line.
    """

    message_id: int
    role: Role
    text: str


class SessionMatch(Value, frozen=True, kw_only=True):
    """A conversation that a search found.

    Args:
        lines: Where, newest first; empty when only the title has the words.
    """

    id: int
    title: str
    updated_at: datetime
    lines: tuple[MatchLine, ...]
