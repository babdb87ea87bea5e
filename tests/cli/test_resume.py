"""`skillspace resume`: resumes as tables, text and documents."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from skillspace.cli.output import display_width
from skillspace.cli.resume_text import resume_text
from skillspace.core.app import SkillSpace
from skillspace.core.resumes.service import Resume
from skillspace.core.values import Json
from tests.cli.conftest import Done
from tests.cli.spaces import in_space

Call = Callable[..., Done]


def resume_of(document: dict[str, Json], language: str = "en") -> Resume:
    """Return a resume with this document."""
    return Resume(
        id=1,
        title="A title",
        language=language,
        owner="me",
        version=1,
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
        document=document,
    )


def test_an_empty_list_says_so_on_stderr(ask: Call) -> None:
    """Without resumes stdout stays empty and stderr names the way to have some."""
    done = ask("resume", "list")
    assert (done.code, done.out) == (0, "")
    assert "skillspace demo" in done.err


def test_list_and_show(ask: Call, environment: dict[str, str]) -> None:
    """A resume is in the list; show gives it as text, and its document with --json."""
    document: dict[str, Json] = {"basics": {"name": "Ada", "label": "Engineer\x1b[31m"}}

    async def work(space: SkillSpace) -> int:
        return await space.resumes.add(space.actor.user_id, "Ada · Engineer", "en", document)

    number = in_space(environment, work)
    assert "Ada · Engineer" in ask("resume", "list").out
    assert json.loads(ask("resume", "list", "--json").out)[0]["id"] == number
    assert ask("resume", "show", str(number)).out == "Ada\nEngineer\n"
    assert json.loads(ask("resume", "show", str(number), "--json").out) == document


def test_bad_numbers(ask: Call) -> None:
    """A number that names nothing is exit 5, a word is exit 2."""
    assert ask("resume", "show", "7").code == 5
    assert ask("resume", "show", "seven").code == 2


def test_text_keeps_to_the_width() -> None:
    """Headings carry their dates at the right edge, and no line is wider than the terminal."""
    work: Json = [
        {
            "name": "澄川科技",
            "position": "工程师",
            "startDate": "2022-03-01",
            "highlights": ["把核心接口的 P99 从 800 毫秒降到 120 毫秒。" * 5],
        }
    ]
    lines = resume_text(resume_of({"work": work}, "zh-CN"), 60).split("\n")
    assert "工作经历" in lines
    heading = next(line for line in lines if line.startswith("工程师"))
    assert heading.endswith("2022-03 – 至今")
    assert display_width(heading) == 60
    assert all(display_width(line) <= 60 for line in lines)


def test_text_of_a_strange_document() -> None:
    """Fields of a wrong type are left out; the title stands in for a missing name."""
    strange: dict[str, Json] = {
        "basics": ["x"],
        "work": {"not": "a list"},
        "skills": [3, None, {"name": None, "keywords": ["SQL", 5]}],
        "unknown": [{"a": 1}],
    }
    assert resume_text(resume_of(strange)) == "A title\n\nSkills\n──────\nSQL"
    assert resume_text(resume_of({})) == "A title"
