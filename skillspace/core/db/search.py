"""Full-text search over short texts, the same on SQLite, PostgreSQL and MariaDB.

Services keep one index per kind of text and ask it with what a person typed. Each engine
cuts text into words in its own way and none of them knows Chinese, so the words are cut here
and written as plain codes that every engine takes as they are. Matches are exact words, or
pieces of a run without spaces, and the beginning of the last word typed.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

import sqlalchemy as sa

from skillspace.core.db.columns import LongText
from skillspace.core.db.connection import Connection, Dialect
from skillspace.core.values import Value

# A code of two letters in front keeps every word away from lists of stop words and above
# MariaDB's least length of 3. Source: MariaDB, "Full-Text Index Stopwords";
# innodb_ft_min_token_size 3, innodb_ft_max_token_size 84.
_FRONT: Final = "q0"
_LONGEST_CODE: Final = 80
# PostgreSQL's tsvector holds less than 1 MiB.
# Source: postgresql.org/docs/15/textsearch-limits.html.
_MOST_CODES: Final = 10_000

# Scripts that put no space between words: Thai to Khmer, Hangul, kana, Han with extensions.
# Source: unicode.org/Public/15.0.0/ucd/Blocks.txt.
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1100, 0x11FF),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x3130, 0x318F),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7AF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)


class SearchIndex:
    """One index: a table that holds, for each key, the codes of a text's words.

    Args:
        name: Name of the table.
        key: What the texts are numbered by, such as `message_id`.
    """

    def __init__(self, name: str, key: str) -> None:
        self.name = name
        self.key = key
        # SQLite numbers the rows of an FTS5 table in `rowid` and nowhere else.
        self._fts5 = sa.table(name, sa.column("rowid", sa.Integer), sa.column("words", sa.Text))
        self.table = sa.Table(
            name,
            sa.MetaData(),
            sa.Column(key, sa.BigInteger(), primary_key=True, autoincrement=False),
            sa.Column("words", LongText, nullable=False),
        )

    def creation(self, dialect: str) -> list[str]:
        """Return the statements that create the index; called by migrations.

        Args:
            dialect: sqlite, postgresql or mysql.
        """
        name, key = self.name, self.key
        if dialect == "sqlite":
            return [
                f"CREATE VIRTUAL TABLE {name} "
                "USING fts5(words, tokenize='unicode61', detail=column)"
            ]
        if dialect == "postgresql":
            return [
                f"CREATE TABLE {name} "
                f"({key} BIGINT CONSTRAINT pk_{name} PRIMARY KEY, words TEXT NOT NULL)",
                f"CREATE INDEX ix_{name}_words ON {name} USING gin (to_tsvector('simple', words))",
            ]
        return [
            f"CREATE TABLE IF NOT EXISTS {name} ({key} BIGINT NOT NULL PRIMARY KEY, "
            f"words MEDIUMTEXT NOT NULL, FULLTEXT ix_{name}_words (words)) "
            "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        ]

    async def index(self, connection: Connection, key: int, text: str) -> None:
        """Put a text into the index, in place of what it held under this key."""
        await self.unindex(connection, [key])
        words = segment(text)
        if words:
            table, column = self._columns(connection.dialect)
            await connection.execute(sa.insert(table).values({column.name: key, "words": words}))

    async def unindex(self, connection: Connection, keys: Iterable[int]) -> None:
        """Take texts out of the index; keys it does not hold are skipped."""
        table, column = self._columns(connection.dialect)
        await connection.execute(sa.delete(table).where(column.in_(list(keys))))

    def matches(self, dialect: Dialect, query: str) -> sa.Select[int]:
        """Return a SELECT of the keys whose text has all words of the query.

        Use it as `messages.c.id.in_(index.matches(database.dialect, query))`.

        Args:
            dialect: Of the database that will run it.
            query: What a person typed; nothing in it is syntax. Its last word also matches
                as a beginning. Without a word it matches nothing.
        """
        table, column = self._columns(dialect)
        return sa.select(column).where(match_clause(dialect, table.c.words, query))

    def _columns(
        self, dialect: Dialect
    ) -> tuple[sa.TableClause, sa.ColumnClause[int] | sa.Column[int]]:
        if dialect == "sqlite":
            return self._fts5, self._fts5.c.rowid
        return self.table, self.table.c[self.key]


MESSAGE_SEARCH: Final = SearchIndex("message_search", key="message_id")
"""The texts of chat messages."""

INDEXES: Final = (MESSAGE_SEARCH,)
"""Every index there is; a new one also needs a migration."""


def segment(text: str) -> str:
    """Cut a text into words and return their codes, each once, with spaces between.

    Words are compared without case and in Unicode's compatible form (NFKC). A run of a
    script without spaces gives each character and each pair of neighbours, an emoji gives
    itself.
    """
    codes: dict[str, None] = {}
    for word, is_run in _words(text):
        pieces = [*word, *(word[i : i + 2] for i in range(len(word) - 1))] if is_run else [word]
        codes.update(dict.fromkeys(map(_code, pieces)))
        if len(codes) >= _MOST_CODES:
            break
    return " ".join(list(codes)[:_MOST_CODES])


def match_clause(
    dialect: Dialect, column: sa.ColumnElement[str], query: str
) -> sa.ColumnElement[bool]:
    """Return the condition "has all words of the query, the last one as a beginning".

    Args:
        dialect: Of the database that will run it.
        column: Holds what `segment` returned.
        query: What a person typed.
    """
    codes, last_is_prefix = _query_codes(query)
    if not codes:
        return sa.false()
    *exact, last = codes
    if dialect == "sqlite":
        ending = "*" if last_is_prefix else ""
        return column.op("MATCH", return_type=sa.Boolean())(" AND ".join([*exact, last + ending]))
    if dialect == "postgresql":
        ending = ":*" if last_is_prefix else ""
        simple: sa.ColumnClause[str] = sa.literal_column("'simple'")
        asked = sa.func.to_tsquery(simple, " & ".join([*exact, last + ending]))
        return sa.func.to_tsvector(simple, column).op("@@", return_type=sa.Boolean())(asked)
    from sqlalchemy.dialects.mysql import match

    ending = "*" if last_is_prefix else ""
    asked_words = " ".join(f"+{code}" for code in [*exact, last + ending])
    return match(column, against=asked_words).in_boolean_mode()


class Snippet(Value, frozen=True, kw_only=True):
    """A short part of a text that shows what was found.

    Args:
        text: One line; "…" where the text goes on.
        matches: Where the words found stand in it: (start, end) of each, in order.
    """

    text: str
    matches: tuple[tuple[int, int], ...] = ()


def snippet(text: str, query: str, width: int = 80) -> Snippet:
    """Cut out the part of a text round the first word of the query.

    Args:
        text: As stored; it comes back as it is, line ends as spaces.
        query: What a person typed.
        width: Characters at most, the two "…" apart.
    """
    line = " ".join(text.split())
    found = _found(line, [word for word, _ in _words(query)])
    first = found[0][0] if found else 0
    start = max(0, min(first - width // 4, len(line) - width))
    end = min(len(line), start + width)
    front = "…" if start else ""
    back = "…" if end < len(line) else ""
    moved = len(front) - start
    matches = [(max(a, start) + moved, min(b, end) + moved) for a, b in found]
    return Snippet(
        text=front + line[start:end] + back,
        matches=tuple((a, b) for a, b in matches if len(front) <= a < b),
    )


def _found(line: str, words: list[str]) -> list[tuple[int, int]]:
    """Return where words stand in a line, without overlaps, in order."""
    folded = ""
    origin: list[int] = []
    for i, character in enumerate(line):
        fold = _fold(character)
        folded += fold
        origin += [i] * len(fold)
    places: list[tuple[int, int]] = []
    for word in words:
        at = folded.find(word)
        while at >= 0:
            before = folded[at - 1] if at else " "
            if _is_unspaced(word[0]) or not (_is_letter(before) and _is_letter(word[0])):
                places.append((origin[at], origin[at + len(word) - 1] + 1))
            at = folded.find(word, at + len(word))
    apart: list[tuple[int, int]] = []
    for start, end in sorted(set(places), key=lambda place: (place[0], -place[1])):
        if not apart or start >= apart[-1][1]:
            apart.append((start, end))
    return apart


def _query_codes(query: str) -> tuple[list[str], bool]:
    """Return the codes to look for and whether the last one is a beginning only."""
    codes: dict[str, None] = {}
    last, last_is_prefix = "", False
    for word, is_run in _words(query):
        if is_run and len(word) > 1:
            pieces = [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            pieces = [word]
        codes.update(dict.fromkeys(map(_code, pieces)))
        last, last_is_prefix = _code(pieces[-1]), not is_run
    ordered = [code for code in codes if code != last][: _MOST_CODES // 100]
    return ([*ordered, last] if last else []), last_is_prefix


def _words(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each word, folded, and whether it is a run of a script without spaces."""
    word = ""
    kind = ""
    for character in _fold(text):
        now = _kind(character)
        if word and (now != kind or now == "sign"):
            yield word, kind != "word"
            word = ""
        kind = now
        if now:
            word += character
    if word:
        yield word, kind != "word"


def _kind(character: str) -> str:
    if _is_unspaced(character):
        return "run" if _is_letter(character) else ""
    if _is_letter(character):
        return "word"
    return "sign" if unicodedata.category(character) == "So" else ""


def _is_letter(character: str) -> bool:
    if "\ufe00" <= character <= "\ufe0f":
        # A variation selector only says how an emoji is drawn.
        return False
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def _is_unspaced(character: str) -> bool:
    code = ord(character)
    return code >= _UNSPACED[0][0] and any(low <= code <= high for low, high in _UNSPACED)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _code(word: str) -> str:
    """Write a word in the letters a-z and digits, so that beginnings stay beginnings.

    A letter a-y or a digit stands for itself, everything else is `z` and five hexadecimal
    digits. What is longer than any engine takes is cut, in texts and queries alike.
    """
    code = _FRONT
    for character in word:
        plain = character.isascii() and character.isalnum() and character != "z"
        piece = character if plain else f"z{ord(character):05x}"
        if len(code) + len(piece) > _LONGEST_CODE:
            break
        code += piece
    return code
