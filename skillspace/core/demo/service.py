"""Sample data: puts a small team into a space, and takes it out again without a trace.

Called by `skillspace demo`. Adding twice adds nothing twice; what a person changed or made
themselves is never touched.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from skillspace.core.accounts.permissions import require
from skillspace.core.clock import Clock
from skillspace.core.db.engine import Connection, Database
from skillspace.core.db.tables import resumes, users
from skillspace.core.demo.samples import SAMPLES, Sample, read_document
from skillspace.core.errors import Conflict
from skillspace.core.text import t
from skillspace.core.values import Actor, Value


class SampleResume(Value, frozen=True, kw_only=True):
    """A sample resume as it is in the space."""

    id: int
    person: str
    username: str
    title: str
    language: str


class DemoReport(Value, frozen=True, kw_only=True):
    """What adding sample data did.

    Args:
        added_people, added_resumes: How many were not there before.
        resumes: All sample resumes that are there now.
    """

    added_people: int
    added_resumes: int
    resumes: tuple[SampleResume, ...]


class DemoRemoval(Value, frozen=True, kw_only=True):
    """How many sample people and resumes were taken out."""

    removed_people: int
    removed_resumes: int


class DemoService:
    """The rules of sample data.

    Args:
        database: Where it goes.
        clock: For rows.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, actor: Actor) -> DemoReport:
        """Add the sample people and resumes that are not there yet, all or none of them.

        Raises:
            Denied: The actor lacks `system:user:add` or `resume:resume:add`.
            Conflict: A real user has a sample person's name.
        """
        require(actor, "system:user:add")
        require(actor, "resume:resume:add")
        now = self._clock.now()
        added_people = added_resumes = 0
        shown = []
        async with self._database.write() as connection:
            for sample in SAMPLES:
                user_id = await _find_person(connection, sample)
                if user_id is None:
                    user_id = await _add_person(connection, sample, now)
                    added_people += 1
                for language, title in sample.resumes.items():
                    row = await _find_resume(connection, user_id, language)
                    if row is None:
                        document = read_document(sample, language)
                        values = {"owner_id": user_id, "title": title, "language": language}
                        times = {"created_at": now, "updated_at": now}
                        inserted = await connection.execute(
                            insert(resumes).values(document=document, **values, **times)
                        )
                        added_resumes += 1
                        row = (_new_id(inserted), title)
                    shown.append(
                        SampleResume(
                            id=row[0],
                            person=sample.display_name,
                            username=sample.username,
                            title=row[1],
                            language=language,
                        )
                    )
        return DemoReport(
            added_people=added_people, added_resumes=added_resumes, resumes=tuple(shown)
        )

    async def remove(self, actor: Actor) -> DemoRemoval:
        """Take the sample people and everything of their resumes out, all or nothing.

        Raises:
            Denied: The actor lacks `system:user:delete` or `resume:resume:delete`.
            Conflict: A sample person owns more than resumes, such as conversations.
        """
        require(actor, "system:user:delete")
        require(actor, "resume:resume:delete")
        emails = [sample.email for sample in SAMPLES]
        names = [sample.username for sample in SAMPLES]
        is_sample = users.c.email.in_(emails) & users.c.username.in_(names)
        try:
            async with self._database.write() as connection:
                found = await connection.execute(select(users.c.id).where(is_sample))
                ids = found.scalars().all()
                gone = await connection.execute(delete(resumes).where(resumes.c.owner_id.in_(ids)))
                await connection.execute(delete(users).where(users.c.id.in_(ids)))
        except IntegrityError as error:
            raise Conflict(
                t("A sample person owns conversations or tasks, so nothing was removed."),
                hint=t("Delete those first."),
            ) from error
        return DemoRemoval(removed_people=len(ids), removed_resumes=gone.rowcount)


async def _find_person(connection: Connection, sample: Sample) -> int | None:
    query = select(users.c.id, users.c.email).where(users.c.username == sample.username)
    row = (await connection.execute(query)).one_or_none()
    if row is not None and row.email != sample.email:
        raise Conflict(
            t("The user {name} is not a sample person.", name=sample.username),
            hint=t("Rename that user; the sample data needs the name."),
        )
    return None if row is None else int(row.id)


async def _add_person(connection: Connection, sample: Sample, now: datetime) -> int:
    inserted = await connection.execute(
        insert(users).values(
            username=sample.username,
            display_name=sample.display_name,
            email=sample.email,
            created_at=now,
        )
    )
    return _new_id(inserted)


async def _find_resume(connection: Connection, user_id: int, language: str) -> Any:
    query = (
        select(resumes.c.id, resumes.c.title)
        .where(resumes.c.owner_id == user_id, resumes.c.language == language)
        .order_by(resumes.c.id)
        .limit(1)
    )
    return (await connection.execute(query)).one_or_none()


def _new_id(inserted: Any) -> int:
    return int(inserted.inserted_primary_key[0])
