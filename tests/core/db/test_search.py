"""Full-text search finds the same on SQLite, PostgreSQL and MariaDB."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from skillspace.core.db.engine import Database
from skillspace.core.db.search import MESSAGE_SEARCH, segment, snippet

TEXTS = {
    1: "How do I start a resume for a database engineer?",
    2: "我想写一份数据库工程师的简历",
    3: "Python后端 and C++ 工程，三年经验",
    4: "Ship it 🚀 with node.js — it's “done”",
    5: "Über naïve CAFÉ Straße ﬁt",
    6: "a to be or not to be",
    7: "",
    8: "こんにちは世界 안녕하세요",
    9: "supercalifragilistic" * 12,
}


async def fill(database: Database) -> None:
    """Index every text, in several transactions."""
    for key, text in TEXTS.items():
        async with database.write() as connection:
            await MESSAGE_SEARCH.index(connection, key, text)


async def find(database: Database, query: str) -> list[int]:
    """Return the keys that match, in order."""
    async with database.read() as connection:
        found = await connection.execute(MESSAGE_SEARCH.matches(database.dialect, query))
        return sorted(found.scalars())


QUERIES = [
    ("resume", [1]),
    ("RESUME database", [1]),
    ("res", [1]),
    ("res database", []),
    ("database res", [1]),
    ("数据库", [2]),
    ("数据", [2]),
    ("库", [2]),
    ("工程", [2, 3]),
    ("工程师", [2]),
    ("师工", []),
    ("python 工程", [3]),
    ("后端", [3]),
    ("c++", [3, 5]),
    ("c", [3, 5]),
    ("🚀", [4]),
    ("🚀 ship", [4]),
    ("node.js", [4]),
    ("it's done", [4]),
    ("über", [5]),
    ("STRASSE", [5]),
    ("fit", [5]),
    ("to be", [6]),
    ("a", [1, 3, 6]),
    ("世界", [8]),
    ("こんに", [8]),
    ("안녕", [8]),
    ("supercalifragilistic", [9]),
    ("supercalifragilistic" * 12, [9]),
    ("", []),
    ("   ", []),
    ("!?—", []),
    ('"', []),
    ('"resume"', [1]),
    ("resume OR 数据", []),
    ("resume* NOT", []),
    ("-resume", [1]),
    ("+resume +(", [1]),
    ("words:resume", []),
    ("resume' OR 1=1 --", []),
    ("NEAR(resume", []),
    ("re%", [1]),
    ("_esume", []),
    ("resume & | ! <-> :*", [1]),
]


async def test_every_kind_of_query(database: Database) -> None:
    """Words, beginnings, Chinese of any length, emoji, and what looks like an operator."""
    await fill(database)
    found = {query: await find(database, query) for query, _ in QUERIES}
    assert found == dict(QUERIES)


async def test_a_text_is_replaced_and_removed(database: Database) -> None:
    """Indexing a key again forgets the old text; removing it forgets all."""
    await fill(database)
    async with database.write() as connection:
        await MESSAGE_SEARCH.index(connection, 1, "数据库")
    assert await find(database, "resume") == []
    assert await find(database, "数据库") == [1, 2]
    async with database.write() as connection:
        await MESSAGE_SEARCH.unindex(connection, [1, 2, 99])
    assert await find(database, "数据库") == []


async def test_a_text_that_is_rolled_back_is_not_found(database: Database) -> None:
    """The index belongs to the transaction."""

    async def fail() -> None:
        async with database.write() as connection:
            await MESSAGE_SEARCH.index(connection, 5, "vanishing")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await find(database, "vanishing") == []


async def test_a_huge_text(database: Database) -> None:
    """A text with more words than an engine takes is indexed by its first ones."""
    text = " ".join(f"word{i}字" for i in range(30_000))
    async with database.write() as connection:
        await MESSAGE_SEARCH.index(connection, 1, text)
    assert await find(database, "word17") == [1]


async def test_the_index_is_used(database: Database) -> None:
    """PostgreSQL answers from its GIN index."""
    if database.dialect != "postgresql":
        assert await find(database, "nothing") == []
        return
    query = MESSAGE_SEARCH.matches("postgresql", "resume")
    async with database.read() as connection:

        def plan(sync: sa.Connection) -> str:
            sync.exec_driver_sql("SET LOCAL enable_seqscan = off")
            text = str(query.compile(sync, compile_kwargs={"literal_binds": True}))
            return "\n".join(sync.exec_driver_sql(f"EXPLAIN {text}").scalars())

        assert "ix_message_search_words" in await connection.run_sync(plan)


@given(st.text())
def test_codes_are_plain(text: str) -> None:
    """Whatever the text, its codes are what every engine takes as one word."""
    for code in segment(text).split():
        assert code.isascii()
        assert code.isalnum()
        assert 3 <= len(code) <= 80


@given(st.text(), st.text(), st.integers(1, 60))
def test_a_snippet_marks_places_inside_itself(text: str, query: str, width: int) -> None:
    """Marks are in order, do not overlap, and lie inside the text shown."""
    found = snippet(text, query, width)
    assert len(found.text) <= width + 2
    edge = 0
    for start, end in found.matches:
        assert edge <= start < end <= len(found.text)
        edge = end


def test_a_snippet_shows_what_was_found() -> None:
    """It starts shortly before the first match and marks each word."""
    text = "前言 " * 40 + "我想写一份\n数据库工程师的 Resume"
    found = snippet(text, "数据库 res", 40)
    assert [found.text[start:end] for start, end in found.matches] == ["数据库", "Res"]
    assert found.text.startswith("…")
    assert snippet("nothing here", "absent").matches == ()
