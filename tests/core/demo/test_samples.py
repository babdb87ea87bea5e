"""Sample data: added once, all or nothing, removed without a trace."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from skillspace.core.app import SkillSpace, open_app
from skillspace.core.db.tables import resumes, users
from skillspace.core.demo.samples import SAMPLES, read_document
from skillspace.core.errors import Conflict, Denied
from skillspace.core.settings_sources import load_settings
from skillspace.core.values import Actor


@pytest.fixture
async def space(tmp_path: Path) -> AsyncIterator[SkillSpace]:
    """Yield an empty space."""
    settings = load_settings({"SKILLSPACE_HOME": str(tmp_path)}, {}).settings.with_secrets()
    async with open_app(settings) as opened:
        yield opened


async def count(space: SkillSpace) -> tuple[int, int]:
    """Return how many users and resumes there are."""
    async with space.database.read() as connection:
        people = await connection.scalar(select(func.count()).select_from(users))
        documents = await connection.scalar(select(func.count()).select_from(resumes))
    return int(people), int(documents)


async def test_a_small_team_in_two_languages(space: SkillSpace) -> None:
    """Five people, six resumes, both languages, one person in both; the owner sees them all."""
    report = await space.demo.add(space.actor)
    assert (report.added_people, report.added_resumes) == (5, 6)
    listed = await space.resumes.list(space.actor)
    languages = [view.language for view in listed]
    assert languages.count("zh") >= 2
    assert languages.count("en") >= 2
    owners = [view.owner for view in listed]
    assert any(owners.count(owner) == 2 for owner in owners)
    assert {view.id for view in listed} == {resume.id for resume in report.resumes}


async def test_a_second_time_adds_nothing(space: SkillSpace) -> None:
    """Adding again finds everything and leaves a changed title alone."""
    first = await space.demo.add(space.actor)
    async with space.database.write() as connection:
        this = resumes.c.id == first.resumes[0].id
        await connection.execute(resumes.update().where(this).values(title="Mine now"))
    before = await count(space)
    second = await space.demo.add(space.actor)
    assert (second.added_people, second.added_resumes) == (0, 0)
    assert second.resumes[0].title == "Mine now"
    assert second.resumes[1:] == first.resumes[1:]
    assert await count(space) == before


async def test_what_is_missing_comes_back(space: SkillSpace) -> None:
    """A sample resume that somebody deleted is added again, and only that one."""
    report = await space.demo.add(space.actor)
    async with space.database.write() as connection:
        await connection.execute(resumes.delete().where(resumes.c.id == report.resumes[2].id))
    again = await space.demo.add(space.actor)
    assert (again.added_people, again.added_resumes) == (0, 1)


async def test_a_stranger_may_not(space: SkillSpace) -> None:
    """Without the permissions nothing is added and nothing is removed."""
    stranger = Actor(user_id=space.actor.user_id, name="x", permissions=frozenset())
    before = await count(space)
    for work in (space.demo.add, space.demo.remove):
        with pytest.raises(Denied):
            await work(stranger)
    assert await count(space) == before


async def test_a_taken_name_adds_nothing(space: SkillSpace) -> None:
    """A real user with the last sample person's name stops it, and the rest is rolled back."""
    async with space.database.write() as connection:
        taken = {"username": SAMPLES[-1].username, "email": "real@example.org"}
        created = await connection.scalar(select(users.c.created_at).limit(1))
        await connection.execute(insert(users).values(**taken, created_at=created))
    before = await count(space)
    with pytest.raises(Conflict):
        await space.demo.add(space.actor)
    assert await count(space) == before
    removed = await space.demo.remove(space.actor)
    assert removed.removed_people == 0
    assert await count(space) == before


async def test_removing_leaves_the_rest(space: SkillSpace) -> None:
    """Sample people and their resumes go; the owner and their own resume stay."""
    own = await space.resumes.add(space.actor.user_id, "Mine", "en", {"basics": {"name": "Me"}})
    before = await count(space)
    await space.demo.add(space.actor)
    removed = await space.demo.remove(space.actor)
    assert (removed.removed_people, removed.removed_resumes) == (5, 6)
    assert await count(space) == before
    assert (await space.resumes.get(space.actor, own)).title == "Mine"


@pytest.mark.parametrize(
    ("username", "language"),
    [(sample.username, language) for sample in SAMPLES for language in sample.resumes],
)
def test_documents_are_sound(username: str, language: str) -> None:
    """Each document is of its person, invented, and its dates are in order."""
    sample = next(sample for sample in SAMPLES if sample.username == username)
    document = read_document(sample, language)
    basics = document["basics"]
    assert isinstance(basics, dict)
    assert basics["email"] == sample.email
    assert sample.email.endswith(".example")
    assert str(basics["name"]) in sample.display_name
    for section in ("work", "education", "skills"):
        assert document[section], section
    for section in ("work", "education"):
        entries = document[section]
        assert isinstance(entries, list)
        for entry in entries:
            assert isinstance(entry, dict)
            assert str(entry["startDate"]) <= str(entry.get("endDate", "9999"))
    has_chinese = any("\u4e00" <= letter <= "\u9fff" for letter in str(basics["summary"]))
    assert has_chinese == (language == "zh")
