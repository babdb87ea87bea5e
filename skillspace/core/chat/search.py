"""Full-text search over conversations: their titles and their current messages.

`index_message` is called wherever a message's text is written, in the same transaction;
`search_sessions` by `SessionService` alone, which says what may be seen.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, select

from skillspace.core.chat.views import MatchLine, SessionMatch
from skillspace.core.db.connection import Connection
from skillspace.core.db.engine import Database
from skillspace.core.db.search import MESSAGE_SEARCH, segment, snippet
from skillspace.core.db.tables import chat_sessions, messages
from skillspace.core.errors import InvalidInput
from skillspace.core.text import t

LINES_PER_SESSION: Final = 3
LINE_CHARACTERS: Final = 80


async def index_message(connection: Connection, message_id: int, text: str) -> None:
    """Make a message findable by its text; an earlier text of it is forgotten.

    Args:
        connection: Of the transaction that writes the message.
        message_id: Its row.
        text: All of it; an empty text is found by nothing.
    """
    await MESSAGE_SEARCH.index(connection, message_id, text)


async def forget_messages(connection: Connection, session_id: int) -> None:
    """Take all messages of a session out of the index, before they are deleted."""
    query = select(messages.c.id).where(messages.c.session_id == session_id)
    ids = [row.id for row in await connection.execute(query)]
    if ids:
        await MESSAGE_SEARCH.unindex(connection, ids)


async def search_sessions(
    database: Database, visible: ColumnElement[bool], text: str, limit: int
) -> list[SessionMatch]:
    """Return the sessions that hold all the words in their title or in one message.

    Args:
        database: Where they are.
        visible: Condition on sessions that the searcher may see.
        text: What the person typed.
        limit: Sessions at most; those used last come first.

    Raises:
        InvalidInput: There is no word in the text.
    """
    if not segment(text):
        raise InvalidInput(t("There is no word to search for."))
    async with database.read() as connection:
        titles = (await connection.execute(_title_query(visible, text, limit))).all()
        lines = (await connection.execute(_line_query(connection, visible, text, limit))).all()
    found: dict[int, SessionMatch] = {}
    by_session: dict[int, list[MatchLine]] = {}
    for row in lines:
        shown = snippet(row.text, text, LINE_CHARACTERS).text
        by_session.setdefault(row.session_id, []).append(
            MatchLine(message_id=row.message_id, role=row.role, text=shown)
        )
    for row in [*titles, *lines]:
        matched = tuple(by_session.get(row.session_id, ()))
        found[row.session_id] = SessionMatch(
            id=row.session_id, title=row.title, updated_at=row.updated_at, lines=matched
        )
    newest = sorted(found.values(), key=lambda match: (match.updated_at, match.id), reverse=True)
    return newest[:limit]


def _heads() -> Sequence[ColumnElement[Any]]:
    return (
        chat_sessions.c.id.label("session_id"),
        chat_sessions.c.title,
        chat_sessions.c.updated_at,
    )


def _title_query(visible: ColumnElement[bool], text: str, limit: int) -> Select[Any]:
    title = func.lower(chat_sessions.c.title)
    has_words = and_(*(title.contains(word, autoescape=True) for word in text.lower().split()))
    return (
        select(*_heads())
        .where(visible, has_words)
        .order_by(chat_sessions.c.updated_at.desc(), chat_sessions.c.id.desc())
        .limit(limit)
    )


def _line_query(
    connection: Connection, visible: ColumnElement[bool], text: str, limit: int
) -> Select[Any]:
    """Return the query of the newest few matching messages of each session."""
    order = func.row_number().over(
        partition_by=messages.c.session_id,
        order_by=(messages.c.position.desc(), messages.c.id.desc()),
    )
    matching = (
        select(
            *_heads(),
            messages.c.id.label("message_id"),
            messages.c.role,
            messages.c.text,
            order.label("rank_in_session"),
        )
        .join(messages, messages.c.session_id == chat_sessions.c.id)
        .where(
            visible,
            messages.c.superseded_at.is_(None),
            messages.c.id.in_(MESSAGE_SEARCH.matches(connection.dialect, text)),
        )
        .subquery()
    )
    return (
        select(matching)
        .where(matching.c.rank_in_session <= LINES_PER_SESSION)
        .order_by(
            matching.c.updated_at.desc(), matching.c.session_id.desc(), matching.c.rank_in_session
        )
        .limit(limit * LINES_PER_SESSION)
    )
