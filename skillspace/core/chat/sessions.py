"""Conversations as their owners see them: list, read, find, rename, delete.

Called by every face. A session is its owner's alone: another user's looks like none, and only
`everybody=True` with `ai:chat:read-others` looks beyond. Every list is one query. Searching
is in `search`, writing messages in `service`.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, update

from skillspace.core.accounts.permissions import require
from skillspace.core.chat.search import forget_messages, index_message, search_sessions
from skillspace.core.chat.views import MessageView, SessionMatch, SessionView
from skillspace.core.clock import Clock
from skillspace.core.db.connection import Connection
from skillspace.core.db.engine import Database
from skillspace.core.db.tables import chat_sessions, messages
from skillspace.core.errors import Conflict, InvalidInput, NotFound
from skillspace.core.text import t
from skillspace.core.values import Actor

__all__ = ["LAST", "SessionService", "index_message"]

LAST: Final = "last"
LIST_LIMIT: Final = 1000
TITLE_LIMIT: Final = 200
_EXCERPT_CHARACTERS: Final = 200
_CHOICES_SHOWN: Final = 5


class SessionService:
    """The rules of conversations.

    Args:
        database: Where they are.
        clock: For rows.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, actor: Actor, session_id: int, *, everybody: bool = False) -> SessionView:
        """Return one session.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        query = _overview().where(_visible(actor, everybody), chat_sessions.c.id == session_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise _no_session(str(session_id))
        return _session_view(row)

    async def find(self, actor: Actor, name: str, *, everybody: bool = False) -> SessionView:
        """Return the session a person means.

        Args:
            actor: Finds their own.
            name: An id, `last`, a title, or the beginning of a title if only one begins so.
            everybody: All users' sessions; needs `ai:chat:read-others`.

        Raises:
            NotFound: None fits, or more than one does.
        """
        name = name.strip()
        if not name:
            raise InvalidInput(t("A session's id or title is missing."))
        visible = _visible(actor, everybody)
        query = _newest_first(_overview().where(visible))
        if name == LAST:
            query = query.limit(1)
        else:
            title = chat_sessions.c.title
            fits: ColumnElement[bool] = or_(
                title.startswith(name, autoescape=True),
                func.lower(title).startswith(name.lower(), autoescape=True),
            )
            if name.isascii() and name.isdigit() and len(name) < 19:
                fits = or_(fits, chat_sessions.c.id == int(name))
            query = query.where(fits).limit(LIST_LIMIT)
        async with self._database.read() as connection:
            found = [_session_view(row) for row in await connection.execute(query)]
        return _the_one(found, name)

    async def messages(
        self,
        actor: Actor,
        session_id: int,
        *,
        last: int | None = None,
        with_superseded: bool = False,
        everybody: bool = False,
    ) -> list[MessageView]:
        """Return a session's turns, oldest first.

        Args:
            actor: The owner.
            session_id: The session.
            last: Only this many, the newest; None for all.
            with_superseded: Also answers that a regenerated one has replaced.
            everybody: Any user's session; needs `ai:chat:read-others`.

        Raises:
            NotFound: There is no such session, or it is somebody else's.
        """
        await self.get(actor, session_id, everybody=everybody)
        query = (
            select(messages)
            .where(messages.c.session_id == session_id)
            .order_by(messages.c.position.desc(), messages.c.id.desc())
        )
        if not with_superseded:
            query = query.where(messages.c.superseded_at.is_(None))
        if last is not None:
            query = query.limit(last)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [_message_view(row) for row in reversed(rows)]

    async def search(
        self, actor: Actor, text: str, *, limit: int = 20, everybody: bool = False
    ) -> list[SessionMatch]:
        """Return the sessions whose title or current messages hold the words, newest first.

        Args:
            actor: Searches their own.
            text: Words in any language; all of them must be there.
            limit: 1–1000 sessions.
            everybody: All users' sessions; needs `ai:chat:read-others`.

        Raises:
            InvalidInput: There is no word in the text.
        """
        _check_limit(limit)
        return await search_sessions(self._database, _visible(actor, everybody), text, limit)

    async def list(
        self,
        actor: Actor,
        *,
        limit: int = 20,
        before: int | None = None,
        everybody: bool = False,
    ) -> list[SessionView]:
        """Return sessions, the one used last first.

        Args:
            actor: Sees their own.
            limit: 1–1000.
            before: Id of the last session of the page before; None for the first page.
            everybody: All users' sessions; needs `ai:chat:read-others`.
        """
        _check_limit(limit)
        owned = _visible(actor, everybody)
        query = _overview().where(owned)
        if before is not None:
            moment = (
                select(chat_sessions.c.updated_at)
                .where(chat_sessions.c.id == before)
                .scalar_subquery()
            )
            query = query.where(
                or_(
                    chat_sessions.c.updated_at < moment,
                    and_(chat_sessions.c.updated_at == moment, chat_sessions.c.id < before),
                )
            )
        async with self._database.read() as connection:
            rows = await connection.execute(_newest_first(query).limit(limit))
            return [_session_view(row) for row in rows]

    async def rename(self, actor: Actor, session_id: int, title: str, version: int) -> SessionView:
        """Give a session another title.

        Args:
            actor: The owner.
            session_id: The session.
            title: 1–200 characters on one line.
            version: As it was when the person looked at it.

        Raises:
            NotFound: There is no such session, or it is somebody else's.
            Conflict: It was changed since.
        """
        require(actor, "ai:chat:ask")
        title = " ".join(title.split())
        if not 1 <= len(title) <= TITLE_LIMIT:
            raise InvalidInput(t("A title has from 1 to {limit} characters.", limit=TITLE_LIMIT))
        this = (chat_sessions.c.id == session_id) & (chat_sessions.c.owner_id == actor.user_id)
        async with self._database.write() as connection:
            renamed = await connection.execute(
                update(chat_sessions)
                .where(this, chat_sessions.c.version == version)
                .values(title=title, version=version + 1)
            )
        view = await self.get(actor, session_id)
        if renamed.rowcount != 1:
            raise Conflict(
                t("Session {id} was changed by somebody else.", id=session_id),
                hint=t("Look at it again: skillspace session show {id}", id=session_id),
                version=view.version,
            )
        return view

    async def delete(self, actor: Actor, session_id: int) -> SessionView:
        """Delete a session with all its messages, for good.

        Returns:
            The session as it was.

        Raises:
            NotFound: There is no such session, or it is somebody else's.
            Conflict: It still waits for an answer.
        """
        require(actor, "ai:chat:ask")
        view = await self.get(actor, session_id)
        async with self._database.write() as connection:
            # Holds the session's row, so that a prompt at the same moment waits or is seen.
            await connection.execute(
                update(chat_sessions)
                .where(chat_sessions.c.id == session_id)
                .values(version=chat_sessions.c.version + 1)
            )
            if await _is_waiting(connection, session_id):
                raise Conflict(
                    t("Session {id} still waits for an answer.", id=session_id),
                    hint=t("Wait for it or cancel it: skillspace task list"),
                )
            await forget_messages(connection, session_id)
            await connection.execute(delete(messages).where(messages.c.session_id == session_id))
            await connection.execute(delete(chat_sessions).where(chat_sessions.c.id == session_id))
        return view


def _check_limit(limit: int) -> None:
    """Refuse a list without rows or with too many.

    Raises:
        InvalidInput: The limit is not 1–1000.
    """
    if not 1 <= limit <= LIST_LIMIT:
        raise InvalidInput(t("A list has from 1 to {limit} rows.", limit=LIST_LIMIT))


def _session_view(row: Any) -> SessionView:
    """Return a row of the overview as a value."""
    return SessionView(
        id=row.id,
        title=row.title,
        system=row.system,
        model=row.model,
        version=row.version,
        message_count=row.message_count,
        last_text=" ".join((row.last_text or "").split()),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _visible(actor: Actor, everybody: bool) -> ColumnElement[bool]:
    """Return the condition on sessions that the actor may see."""
    require(actor, "ai:chat:ask")
    if everybody:
        require(actor, "ai:chat:read-others")
        return chat_sessions.c.id.is_not(None)
    return chat_sessions.c.owner_id == actor.user_id


def _overview() -> Select[Any]:
    """Return the query of sessions with their number of messages and what was said last."""
    current = (messages.c.session_id == chat_sessions.c.id) & messages.c.superseded_at.is_(None)
    count = select(func.count()).select_from(messages).where(current).scalar_subquery()
    last = (
        select(func.substr(messages.c.text, 1, _EXCERPT_CHARACTERS))
        .where(current, messages.c.text != "")
        .order_by(messages.c.position.desc(), messages.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(chat_sessions, count.label("message_count"), last.label("last_text"))


def _newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(chat_sessions.c.updated_at.desc(), chat_sessions.c.id.desc())


def _the_one(found: list[SessionView], name: str) -> SessionView:
    """Choose by id, then by whole title, then by the only beginning that fits."""
    if name == LAST and found:
        return found[0]
    by_id = [session for session in found if str(session.id) == name]
    by_title = [session for session in found if session.title == name]
    for fitting in (by_id, by_title, found):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            some = ", ".join(
                f"{session.id} {session.title}" for session in fitting[:_CHOICES_SHOWN]
            )
            raise NotFound(
                t("More than one session fits {name}: {some}.", name=name, some=some),
                hint=t("Give the id."),
            )
    if name == LAST:
        raise NotFound(t("There is no session yet."), hint=t('Begin one: skillspace chat "hello"'))
    raise _no_session(name)


def _no_session(name: str) -> NotFound:
    return NotFound(
        t("There is no session {id}.", id=name),
        hint=t("See what there is: skillspace session list"),
    )


async def _is_waiting(connection: Connection, session_id: int) -> bool:
    query = select(func.count()).where(
        messages.c.session_id == session_id, messages.c.status == "pending"
    )
    return bool(await connection.scalar(query))


def _message_view(row: Any) -> MessageView:
    return MessageView(**row._mapping)
