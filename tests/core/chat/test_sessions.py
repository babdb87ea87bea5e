"""Sessions belong to their owner, are found by what they say, and change only as last seen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from skillspace.core.chat.sessions import SessionService, index_message
from skillspace.core.clock import SystemClock
from skillspace.core.db.engine import Database
from skillspace.core.db.search import MESSAGE_SEARCH
from skillspace.core.db.tables import chat_sessions, messages, users
from skillspace.core.errors import Conflict, Denied, InvalidInput, NotFound, SkillSpaceError
from skillspace.core.values import Actor

START = datetime(2026, 1, 1, tzinfo=UTC)


class Chats:
    """Writes sessions as the chat service does."""

    def __init__(self, database: Database, ann: Actor, bob: Actor) -> None:
        self.database = database
        self.service = SessionService(database, SystemClock())
        self.ann = ann
        self.bob = bob
        self._count = 0

    async def add(self, title: str, *turns: str, owner: Actor | None = None, **last: Any) -> int:
        """Add a session whose turns take turns between user and assistant."""
        self._count += 1
        moment = START + timedelta(hours=self._count)
        async with self.database.write() as connection:
            made = await connection.execute(
                insert(chat_sessions).values(
                    owner_id=(owner or self.ann).user_id,
                    title=title,
                    system="",
                    created_at=moment,
                    updated_at=moment,
                )
            )
            assert made.inserted_primary_key
            session_id = int(made.inserted_primary_key[0])
            for i, text in enumerate(turns):
                row = {
                    "session_id": session_id,
                    "position": i + 1,
                    "role": "assistant" if i % 2 else "user",
                    "status": "complete",
                    "text": text,
                    "thinking": "",
                    "created_at": moment,
                }
                if i == len(turns) - 1:
                    row |= last
                added = await connection.execute(insert(messages).values(**row))
                assert added.inserted_primary_key
                await index_message(connection, int(added.inserted_primary_key[0]), text)
        return session_id


@pytest.fixture
async def chats(database: Database) -> Chats:
    """Return two users without sessions; neither is a superuser."""
    actors = []
    async with database.write() as connection:
        for name in ("ann", "bob"):
            made = await connection.execute(insert(users).values(username=name, created_at=START))
            assert made.inserted_primary_key
            actors.append(
                Actor(
                    user_id=int(made.inserted_primary_key[0]),
                    name=name,
                    permissions=frozenset({"ai:chat:ask"}),
                )
            )
    return Chats(database, *actors)


async def test_list_is_newest_first_with_count_and_last_text(chats: Chats) -> None:
    """A list shows own sessions, the newest first, each with its messages and last words."""
    first = await chats.add("first", "question", "line one\nline two")
    second = await chats.add("second", "only a question")
    await chats.add("foreign", "secret", owner=chats.bob)
    found = await chats.service.list(chats.ann)
    assert [(s.id, s.message_count, s.last_text) for s in found] == [
        (second, 1, "only a question"),
        (first, 2, "line one line two"),
    ]


async def test_pages_join_to_the_whole_list(chats: Chats) -> None:
    """Pages that go on before the last id give every session once."""
    ids = [await chats.add(f"number {n}", "q") for n in range(5)]
    # Two at one moment must not be lost between pages.
    async with chats.database.write() as connection:
        await connection.execute(update(chat_sessions).values(updated_at=START))
    seen: list[int] = []
    while page := await chats.service.list(chats.ann, limit=2, before=seen[-1] if seen else None):
        seen += [session.id for session in page]
    assert seen == sorted(ids, reverse=True)


async def test_foreign_sessions_look_like_none(chats: Chats) -> None:
    """Another user's session is not found by any method, nor renamed, nor deleted."""
    service, foreign = chats.service, await chats.add("foreign", "secret", owner=chats.bob)
    for call in (
        service.get(chats.ann, foreign),
        service.find(chats.ann, str(foreign)),
        service.find(chats.ann, "foreign"),
        service.find(chats.ann, "last"),
        service.messages(chats.ann, foreign),
        service.rename(chats.ann, foreign, "mine", 1),
        service.delete(chats.ann, foreign),
    ):
        with pytest.raises(NotFound):
            await call
    assert await service.search(chats.ann, "secret") == []
    assert (await service.get(chats.bob, foreign)).title == "foreign"


async def test_everybody_needs_a_flag_and_a_permission(chats: Chats) -> None:
    """Looking into others' sessions takes `everybody` and the permission; a superuser has it."""
    foreign = await chats.add("foreign", "secret", owner=chats.bob)
    with pytest.raises(Denied):
        await chats.service.list(chats.ann, everybody=True)
    root = Actor(user_id=chats.ann.user_id, name="ann", is_superuser=True)
    assert await chats.service.list(root) == []
    assert [s.id for s in await chats.service.list(root, everybody=True)] == [foreign]
    assert [m.id for m in await chats.service.search(root, "secret", everybody=True)] == [foreign]


async def test_find_by_id_title_beginning_and_last(chats: Chats) -> None:
    """A session is found by id, whole title, the only fitting beginning in any case, or `last`."""
    letter = await chats.add("Cover letter", "q")
    longer = await chats.add("Cover letter for Ann", "q")
    chinese = await chats.add("简历 100% 建议", "q")
    names = {
        str(letter): letter,
        "Cover letter": letter,
        "cover letter for": longer,
        "简历 100%": chinese,
        "last": chinese,
    }
    for name, expected in names.items():
        assert (await chats.service.find(chats.ann, name)).id == expected, name


@pytest.mark.parametrize(
    ("name", "error"), [("Cov", NotFound), ("%", NotFound), ("99", NotFound), (" ", InvalidInput)]
)
async def test_find_refuses_what_is_not_one(
    chats: Chats, name: str, error: type[SkillSpaceError]
) -> None:
    """A beginning of two titles, a wildcard, an unknown id and nothing find nothing."""
    await chats.add("Cover letter", "q")
    await chats.add("Covenant", "q")
    with pytest.raises(error):
        await chats.service.find(chats.ann, name)


async def test_find_last_without_sessions(chats: Chats) -> None:
    """`last` without a session says so."""
    with pytest.raises(NotFound, match="no session yet"):
        await chats.service.find(chats.ann, "last")


async def test_messages_hide_superseded_ones(chats: Chats) -> None:
    """Replaced answers are shown on request only; `last` takes the newest."""
    session_id = await chats.add("t", "one", "old", superseded_at=START)
    assert [m.text for m in await chats.service.messages(chats.ann, session_id)] == ["one"]
    every = await chats.service.messages(chats.ann, session_id, with_superseded=True)
    assert [m.text for m in every] == ["one", "old"]
    long = await chats.add("long", *(str(n) for n in range(10)))
    newest = await chats.service.messages(chats.ann, long, last=2)
    assert [m.text for m in newest] == ["8", "9"]


async def test_search_finds_titles_and_messages_in_both_languages(chats: Chats) -> None:
    """All the words must be in one message or in the title; the place is shown."""
    english = await chats.add("letters", "How do I write a cover letter?", "Begin with why.")
    chinese = await chats.add("求职", "怎么写好一份简历？", "先写成果。")
    assert [m.id for m in await chats.service.search(chats.ann, "LETTER cover")] == [english]
    found = await chats.service.search(chats.ann, "简历")
    assert [m.id for m in found] == [chinese]
    assert found[0].lines[0].text == "怎么写好一份简历？"
    by_title = await chats.service.search(chats.ann, "求职")
    assert [(m.id, m.lines) for m in by_title] == [(chinese, ())]
    assert await chats.service.search(chats.ann, "cover why") == []


async def test_search_shows_few_lines_of_each_session(chats: Chats) -> None:
    """A session full of matches crowds no other out."""
    other = await chats.add("other", "needle")
    crowded = await chats.add("crowded", *("needle again" for _ in range(30)))
    found = await chats.service.search(chats.ann, "needle", limit=2)
    assert [m.id for m in found] == [crowded, other]
    assert len(found[0].lines) == 3


async def test_search_passes_over_replaced_answers(chats: Chats) -> None:
    """An answer that was replaced is not found."""
    await chats.add("t", "question", "obsolete", superseded_at=START)
    assert await chats.service.search(chats.ann, "obsolete") == []


@pytest.mark.parametrize("text", ["", "  ", "?!", "---"])
async def test_search_needs_a_word(chats: Chats, text: str) -> None:
    """A search without a word is refused, not answered with everything."""
    with pytest.raises(InvalidInput):
        await chats.service.search(chats.ann, text)


async def test_index_message_replaces_the_earlier_text(chats: Chats) -> None:
    """A message that is written again is found by its new text only."""
    session_id = await chats.add("t", "before")
    message = (await chats.service.messages(chats.ann, session_id))[0]
    async with chats.database.write() as connection:
        await index_message(connection, message.id, "after")
    assert await chats.service.search(chats.ann, "before") == []
    assert [m.id for m in await chats.service.search(chats.ann, "after")] == [session_id]


async def test_rename_needs_the_version_last_seen(chats: Chats) -> None:
    """A rename raises the version; one made on an older view is refused and changes nothing."""
    session_id = await chats.add("old", "q")
    seen = await chats.service.get(chats.ann, session_id)
    renamed = await chats.service.rename(chats.ann, session_id, "  new\ntitle ", seen.version)
    assert (renamed.title, renamed.version) == ("new title", seen.version + 1)
    with pytest.raises(Conflict):
        await chats.service.rename(chats.ann, session_id, "lost", seen.version)
    assert (await chats.service.get(chats.ann, session_id)).title == "new title"


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
async def test_rename_refuses_a_bad_title(chats: Chats, title: str) -> None:
    """A title has 1 to 200 characters."""
    session_id = await chats.add("old", "q")
    with pytest.raises(InvalidInput):
        await chats.service.rename(chats.ann, session_id, title, 1)


async def test_delete_leaves_nothing_behind(chats: Chats) -> None:
    """A deleted session takes its messages and their place in the search index along."""
    kept = await chats.add("kept", "needle")
    gone = await chats.add("gone", "needle", "answer")
    view = await chats.service.delete(chats.ann, gone)
    assert (view.title, view.message_count) == ("gone", 2)
    assert [m.id for m in await chats.service.search(chats.ann, "needle")] == [kept]
    async with chats.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(messages)) == 1
        keys = MESSAGE_SEARCH.matches(connection.dialect, "needle")
        assert len((await connection.execute(keys)).all()) == 1


async def test_delete_waits_for_a_running_answer(chats: Chats) -> None:
    """A session whose answer is being written cannot be deleted under its writer."""
    session_id = await chats.add("busy", "q", "", status="pending")
    with pytest.raises(Conflict):
        await chats.service.delete(chats.ann, session_id)
    assert (await chats.service.get(chats.ann, session_id)).message_count == 2


@pytest.mark.parametrize("limit", [0, 1001])
async def test_limits(chats: Chats, limit: int) -> None:
    """A list has from 1 to 1000 rows."""
    with pytest.raises(InvalidInput):
        await chats.service.list(chats.ann, limit=limit)
    with pytest.raises(InvalidInput):
        await chats.service.search(chats.ann, "word", limit=limit)
