"""Asking: a prompt becomes two messages and a task, in one transaction.

Every face asks here and then follows the task. The answer belongs to the task, never to who
watches it.
"""

import uuid
from typing import Any, Final

import msgspec
from sqlalchemy import func, insert, select, update

from skillspace.core.accounts.permissions import require
from skillspace.core.chat.sessions import index_message
from skillspace.core.chat.values import Ask, ChatPayload, Exchange
from skillspace.core.clock import Clock
from skillspace.core.db.engine import Connection, Database
from skillspace.core.db.tables import chat_sessions, messages
from skillspace.core.db.tables import tasks as task_table
from skillspace.core.errors import Conflict, InvalidInput, NotFound
from skillspace.core.tasks.service import Submission, TaskService
from skillspace.core.text import t
from skillspace.core.values import Actor, PromptMessage, Sampling

TITLE_CHARACTERS: Final = 60
TEXT_CHARACTERS: Final = 4 * 2**20
"""Four bytes each at most, so MariaDB's 16 MiB hold it; no model reads as much."""
MODEL_CHARACTERS: Final = 255

# Built once: making a statement costs as much as running it.
_NEW_SESSION: Final = insert(chat_sessions)
_NEW_MESSAGE: Final = insert(messages)


class ChatService:
    """The rules of asking.

    Args:
        database: Where sessions and messages are.
        tasks: Takes the generation.
        clock: For rows.
        default_model: What answers when nobody says otherwise.
        default_system: System text of a new session.
    """

    def __init__(
        self,
        database: Database,
        tasks: TaskService,
        clock: Clock,
        *,
        default_model: str = "auto",
        default_system: str = "",
    ) -> None:
        self._database = database
        self._tasks = tasks
        self._clock = clock
        self._default_model = default_model
        self._default_system = default_system

    async def ask(self, actor: Actor, ask: Ask) -> Exchange:
        """Accept a prompt; once this returns, neither it nor its answer can be lost.

        Raises:
            Denied: The actor lacks `ai:chat:ask`.
            InvalidInput: The prompt is empty or a sampling parameter is out of range.
            NotFound: There is no such session of the actor's.
            Conflict: The session still waits for an answer.
        """
        require(actor, "ai:chat:ask")
        check_sampling(ask.sampling)
        text = "\n\n".join(part for part in (ask.context.strip("\n"), ask.prompt) if part.strip())
        if not text:
            raise InvalidInput(
                t("The prompt is empty."), hint=t('For example: skillspace chat "hello"')
            )
        for given in (text, ask.system or "", ask.model or ""):
            check_text(given)
        check_model_name(ask.model)
        if not ask.save:
            return await self._ask_unsaved(actor, ask, text)
        async with self._tasks.submitting() as submission:
            return await submission.together(lambda: self._accept(submission, actor, ask, text))

    async def _accept(self, submission: Submission, actor: Actor, ask: Ask, text: str) -> Exchange:
        """Write the prompt, the place of its answer and the task."""
        connection = submission.connection
        session = await self._session(connection, actor, ask, text)
        is_new = ask.session_id is None
        position = 1 if is_new else await _next_position(connection, session["id"])
        task_id, now = str(uuid.uuid4()), self._clock.now()
        user = {"role": "user", "status": "complete", "text": text, "position": position}
        prompt_id = await _add_message(connection, session["id"], now, user)
        await index_message(connection, prompt_id, text)
        blank = _blank(position + 1, task_id)
        answer_id = await _add_message(connection, session["id"], now, blank)
        payload = ChatPayload(
            session_id=session["id"],
            answer_id=answer_id,
            system=session["system"],
            model=ask.model or session["model"] or self._default_model,
            resume_id=ask.resume_id,
            sampling=ask.sampling,
        )
        await _submit(submission, actor, payload, task_id)
        return Exchange(
            task_id=task_id, session_id=session["id"], prompt_id=prompt_id, answer_id=answer_id
        )

    async def regenerate(
        self, actor: Actor, session_id: int, sampling: Sampling, model: str | None = None
    ) -> Exchange:
        """Answer a session's last prompt again; the earlier answer stays, superseded.

        Raises:
            NotFound: There is no such session of the actor's.
            Conflict: There is nothing to answer, or an answer is on its way.
        """
        require(actor, "ai:chat:ask")
        check_sampling(sampling)
        check_model_name(model)
        async with self._tasks.submitting() as submission:
            connection = submission.connection
            session = await _own_session(connection, actor, session_id)
            query = (
                select(messages)
                .where(messages.c.session_id == session_id, messages.c.superseded_at.is_(None))
                .order_by(messages.c.position.desc(), messages.c.id.desc())
            )
            last = (await connection.execute(query.limit(1))).one_or_none()
            if last is None:
                raise Conflict(t("Session {id} has no prompt to answer.", id=session_id))
            if last.status == "pending":
                raise _busy(session_id)
            now = self._clock.now()
            position = last.position + 1
            if last.role == "assistant":
                position = last.position
                await connection.execute(
                    update(messages).where(messages.c.id == last.id).values(superseded_at=now)
                )
            task_id = str(uuid.uuid4())
            blank = _blank(position, task_id)
            answer_id = await _add_message(connection, session_id, now, blank)
            payload = ChatPayload(
                session_id=session_id,
                answer_id=answer_id,
                system=session.system,
                model=model or session.model or self._default_model,
                resume_id=await _resume_of(connection, last.task_id),
                sampling=sampling,
            )
            await _submit(submission, actor, payload, task_id)
        return Exchange(task_id=task_id, session_id=session_id, answer_id=answer_id)

    async def _ask_unsaved(self, actor: Actor, ask: Ask, text: str) -> Exchange:
        payload = ChatPayload(
            turns=(PromptMessage(role="user", text=text),),
            system=self._default_system if ask.system is None else ask.system,
            model=ask.model or self._default_model,
            resume_id=ask.resume_id,
            sampling=ask.sampling,
        )
        task_id = str(uuid.uuid4())
        async with self._tasks.submitting() as submission:
            await _submit(submission, actor, payload, task_id)
        return Exchange(task_id=task_id)

    async def _session(
        self, connection: Connection, actor: Actor, ask: Ask, text: str
    ) -> dict[str, Any]:
        now = self._clock.now()
        if ask.session_id is None:
            system = self._default_system if ask.system is None else ask.system
            values: dict[str, Any] = {"system": system, "model": ask.model or ""}
            row = {
                "owner_id": actor.user_id,
                "title": title_of(ask.prompt or text),
                "created_at": now,
                "updated_at": now,
                **values,
            }
            inserted = await connection.execute(_NEW_SESSION, row)
            key = inserted.inserted_primary_key
            assert key is not None
            return {"id": int(key[0]), **values}
        session = await _own_session(connection, actor, ask.session_id)
        values = {
            "system": session.system if ask.system is None else ask.system,
            "model": ask.model or session.model,
        }
        await connection.execute(
            update(chat_sessions)
            .where(chat_sessions.c.id == ask.session_id)
            .values(updated_at=now, **values)
        )
        pending = select(func.count()).where(
            messages.c.session_id == ask.session_id, messages.c.status == "pending"
        )
        if (await connection.execute(pending)).scalar_one():
            raise _busy(ask.session_id)
        return {"id": session.id, **values}


def check_sampling(sampling: Sampling) -> None:
    """Refuse sampling parameters out of their range.

    Raises:
        InvalidInput: Names the parameter, its value and its range.
    """
    longest = sampling.max_tokens
    checks = (
        ("temperature", sampling.temperature, 0 <= sampling.temperature <= 2, "0-2"),
        ("top_p", sampling.top_p, 0 < sampling.top_p <= 1, "0-1"),
        ("top_k", sampling.top_k, sampling.top_k >= 0, "≥ 0"),
        ("max_tokens", longest, longest is None or longest >= 1, "≥ 1"),
    )
    for name, value, is_fine, allowed in checks:
        if not is_fine:
            raise InvalidInput(
                t("{name} is {value}; allowed is {range}.", name=name, value=value, range=allowed)
            )


def check_model_name(model: str | None) -> None:
    """Refuse a name that no row can hold.

    Raises:
        InvalidInput: It is longer than MODEL_CHARACTERS.
    """
    if model is not None and len(model) > MODEL_CHARACTERS:
        raise InvalidInput(
            t("A model's name has at most {limit} characters.", limit=MODEL_CHARACTERS)
        )


def check_text(text: str) -> None:
    """Refuse what is no text or too much of it: NUL, halves of characters, over 4 MiB.

    Raises:
        InvalidInput: A database could not keep it, or a model read it.
    """
    is_whole = "\x00" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        is_whole = False
    if len(text) > TEXT_CHARACTERS:
        raise InvalidInput(
            t("The prompt has more than {limit} characters.", limit=TEXT_CHARACTERS),
            hint=t("Give a part of it."),
        )
    if not is_whole:
        raise InvalidInput(
            t("The prompt is not text: it has NUL or broken characters."),
            hint=t("Give a text file in UTF-8."),
        )


def title_of(prompt: str) -> str:
    """Return a session's title: the first line of its first prompt, shortened at a word."""
    line = next((line.strip() for line in prompt.splitlines() if line.strip()), "")
    line = " ".join(line.split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    cut = line[:TITLE_CHARACTERS]
    return (cut.rsplit(" ", 1)[0] if " " in cut[TITLE_CHARACTERS // 2 :] else cut) + "…"


def _busy(session_id: int) -> Conflict:
    return Conflict(
        t("Session {id} still waits for an answer.", id=session_id),
        hint=t("Wait for it or cancel it: skillspace task list"),
    )


async def _submit(submission: Submission, actor: Actor, payload: ChatPayload, task_id: str) -> None:
    await submission.submit(actor, "chat", msgspec.to_builtins(payload), task_id=task_id)


def _blank(position: int, task_id: str) -> dict[str, Any]:
    """Return the answer that a task will fill."""
    return {"role": "assistant", "status": "pending", "position": position, "task_id": task_id}


async def _own_session(connection: Connection, actor: Actor, session_id: int) -> Any:
    """Read a session and hold its row, so that two prompts at once take turns."""
    owned = (chat_sessions.c.id == session_id) & (chat_sessions.c.owner_id == actor.user_id)
    await connection.execute(
        update(chat_sessions).where(owned).values(version=chat_sessions.c.version + 1)
    )
    row = (await connection.execute(select(chat_sessions).where(owned))).one_or_none()
    if row is None:
        raise NotFound(
            t("There is no session {id}.", id=session_id),
            hint=t("See what there is: skillspace session list"),
        )
    return row


async def _resume_of(connection: Connection, task_id: str | None) -> int | None:
    """Return the resume that an answer was given with; None without one, or without its task."""
    query = select(task_table.c.payload).where(task_table.c.id == task_id)
    payload = (await connection.execute(query)).scalar()
    return None if payload is None else msgspec.convert(payload, ChatPayload).resume_id


async def _next_position(connection: Connection, session_id: int) -> int:
    query = select(func.max(messages.c.position)).where(messages.c.session_id == session_id)
    return ((await connection.execute(query)).scalar() or 0) + 1


async def _add_message(
    connection: Connection, session_id: int, now: Any, values: dict[str, Any]
) -> int:
    blank = {"text": "", "thinking": ""}
    row = {"session_id": session_id, "created_at": now, **blank, **values}
    key = (await connection.execute(_NEW_MESSAGE, row)).inserted_primary_key
    assert key is not None
    return int(key[0])
