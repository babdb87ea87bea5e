"""The task type `chat`: reads the conversation, generates, keeps the answer.

The answer is what the event log joins to; it is written to its message in the transaction that
ends the task, whatever the end was.
"""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from skillspace.core.chat.engines import Engines
from skillspace.core.chat.prompt import fit_prompt
from skillspace.core.chat.service import MODEL_CHARACTERS
from skillspace.core.chat.sessions import index_message
from skillspace.core.chat.tags import TagParser
from skillspace.core.chat.values import ChatPayload
from skillspace.core.db.engine import Connection, Database
from skillspace.core.db.tables import chat_sessions, messages
from skillspace.core.errors import Conflict, NotFound
from skillspace.core.events import STATUS
from skillspace.core.resumes.service import ResumeService
from skillspace.core.tasks.registry import TaskContext
from skillspace.core.tasks.values import Claim, Outcome
from skillspace.core.text import t
from skillspace.core.values import GenerateRequest, Json, PromptMessage, Usage

_answer = messages.alias("answer")
# Built once: making this statement costs more than running it.
_TURNS: Final = (
    select(messages.c.role, messages.c.text)
    .join(_answer, _answer.c.session_id == messages.c.session_id)
    .where(
        _answer.c.id == bindparam("answer_id"),
        messages.c.position < _answer.c.position,
        messages.c.superseded_at.is_(None),
        messages.c.text != "",
    )
    .order_by(messages.c.position, messages.c.id)
)


class ChatJob:
    """Generates one answer.

    Args:
        database: Where the conversation is.
        engines: Hands out the model.
        resumes: Reads a resume that the model may see.
    """

    kind = "chat"
    queue = "generation"
    permission = "ai:chat:ask"
    payload = ChatPayload
    # Once a reader saw text, another attempt would say something else.
    is_repeatable = False

    def __init__(self, database: Database, engines: Engines, resumes: ResumeService) -> None:
        self._database = database
        self._engines = engines
        self._resumes = resumes

    async def run(self, context: TaskContext, payload: ChatPayload) -> dict[str, Json]:
        """Stream the answer into the log; returns usage, finish reason and where it is kept."""
        turns = payload.turns or await self._conversation(payload)
        system = payload.system
        if payload.resume_id is not None:
            document = await self._resumes.text_for(context.claim.owner_id, payload.resume_id)
            system = f"{system}\n\n{document}".strip()
        async with self._engines.use(payload.model) as engine:
            info = await engine.describe()
            prompt = await fit_prompt(engine, system, turns, payload.sampling.max_tokens)
            if prompt.dropped:
                note = t(
                    "{count} earlier messages do not fit the model and are left out.",
                    count=prompt.dropped,
                )
                await context.emit(STATUS, {"text": note, "dropped": prompt.dropped})
            parser = TagParser()
            usage, reason = Usage(prompt_tokens=prompt.prompt_tokens), "stop"
            request = GenerateRequest(messages=prompt.messages, sampling=payload.sampling)
            async with aclosing(engine.generate(request)) as pieces:  # type: ignore[type-var]  # an async generator
                async for piece in pieces:
                    for channel, text in parser.feed(piece.text):
                        await context.emit(channel, {"text": text})
                    usage = piece.usage or usage
                    reason = piece.finish_reason or reason
            for channel, text in parser.close():
                await context.emit(channel, {"text": text})
        return {
            "finish_reason": reason,
            "model": info.model,
            "usage": msgspec.to_builtins(usage),
            "session_id": payload.session_id,
            "message_id": payload.answer_id,
        }

    async def settle(
        self, connection: Connection, claim: Claim, outcome: Outcome, now: datetime
    ) -> None:
        """Write the answer, whole or partial, to its message."""
        payload = msgspec.convert(claim.payload, ChatPayload)
        if payload.answer_id is None:
            return
        has_text = bool(outcome.answer or outcome.thinking)
        if outcome.state != "SUCCESS" and not has_text:
            await self._restore_earlier(connection, payload.answer_id)
            return
        result: dict[str, Any] = outcome.result or {}
        usage: dict[str, Any] = result.get("usage") or {}
        answered = await connection.execute(
            update(messages)
            .where(messages.c.id == payload.answer_id)
            .values(
                text=outcome.answer,
                thinking=outcome.thinking,
                status="complete" if outcome.state == "SUCCESS" else "partial",
                task_id=claim.task_id,
                # A folder's path may be longer than the column.
                model=result.get("model", payload.model)[-MODEL_CHARACTERS:],
                prompt_tokens=usage.get("prompt_tokens", 0),
                completion_tokens=usage.get("completion_tokens", 0),
            )
        )
        if answered.rowcount != 1:
            # The session was deleted meanwhile, and its answer with it.
            return
        await connection.execute(
            update(chat_sessions)
            .where(chat_sessions.c.id == payload.session_id)
            .values(updated_at=now)
        )
        await index_message(connection, payload.answer_id, outcome.answer)

    async def prepare_retry(
        self, connection: Connection, claim: Claim, new_task_id: str, now: datetime
    ) -> dict[str, Json]:
        """Make room for another answer in the place of the one that failed.

        Raises:
            Conflict: The answer was replaced since, or the session waits for another one.
        """
        payload = msgspec.convert(claim.payload, ChatPayload)
        if payload.answer_id is None:
            return claim.payload
        # Holds the session's row, so that a prompt and a retry at once take turns.
        await connection.execute(
            update(chat_sessions)
            .where(chat_sessions.c.id == payload.session_id)
            .values(version=chat_sessions.c.version + 1)
        )
        this = messages.c.session_id == payload.session_id
        query = select(messages).where(this, messages.c.superseded_at.is_(None))
        rows = (await connection.execute(query)).all()
        failed = next((row for row in rows if row.id == payload.answer_id), None)
        if failed is None or any(row.status == "pending" for row in rows):
            raise Conflict(
                t("Session {id} has gone on since.", id=payload.session_id),
                hint=t("Ask again: skillspace chat -s {id}", id=payload.session_id),
            )
        await connection.execute(
            update(messages).where(messages.c.id == failed.id).values(superseded_at=now)
        )
        blank = {"role": "assistant", "status": "pending", "text": "", "thinking": ""}
        inserted = await connection.execute(
            insert(messages).values(
                session_id=failed.session_id,
                position=failed.position,
                task_id=new_task_id,
                created_at=now,
                **blank,
            )
        )
        key = inserted.inserted_primary_key
        assert key is not None
        return {**claim.payload, "answer_id": int(key[0])}

    def is_kept(self, payload: dict[str, Json]) -> bool:
        """Say whether the exchange was saved."""
        return payload.get("answer_id") is not None

    async def _conversation(self, payload: ChatPayload) -> Sequence[PromptMessage]:
        """Read the turns before the answer, oldest first."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_TURNS, {"answer_id": payload.answer_id})).all()
        if not rows:
            raise NotFound(t("The session of this answer was deleted."))
        return [PromptMessage(role=row.role, text=row.text) for row in rows]

    async def _restore_earlier(self, connection: Connection, answer_id: int) -> None:
        """Bring back the answer that an empty new one was to replace, or mark the empty one."""
        query = select(messages).where(messages.c.id == answer_id)
        blank = (await connection.execute(query)).one_or_none()
        if blank is None:
            return
        earlier = (
            select(messages.c.id)
            .where(
                messages.c.session_id == blank.session_id,
                messages.c.position == blank.position,
                messages.c.superseded_at.is_not(None),
            )
            .order_by(messages.c.superseded_at.desc(), messages.c.id.desc())
            .limit(1)
        )
        earlier_id = (await connection.execute(earlier)).scalar_one_or_none()
        if earlier_id is None:
            await connection.execute(
                update(messages).where(messages.c.id == answer_id).values(status="failed")
            )
            return
        await connection.execute(delete(messages).where(messages.c.id == answer_id))
        await connection.execute(
            update(messages).where(messages.c.id == earlier_id).values(superseded_at=None)
        )
