"""A JSON Resume document as text for a terminal.

Called by `skillspace resume show`. Titles are in the resume's own language. A field that is
missing or of another type than the schema says is left out: a document may come from
anywhere. Never prints.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from skillspace.cli.helptext import wrap
from skillspace.cli.output import display_width

if TYPE_CHECKING:
    from skillspace.core.resumes.service import Resume

TEXT_COLUMNS: Final = 90

# Source: section names of the JSON Resume schema 1.3.1.
_TITLES: Final = {
    "en": {
        "work": "Work",
        "volunteer": "Volunteering",
        "projects": "Projects",
        "education": "Education",
        "skills": "Skills",
        "languages": "Languages",
        "certificates": "Certificates",
        "awards": "Awards",
        "publications": "Publications",
        "interests": "Interests",
        "now": "now",
    },
    "zh": {
        "work": "工作经历",
        "volunteer": "志愿经历",
        "projects": "项目经历",
        "education": "教育背景",
        "skills": "专业技能",
        "languages": "语言能力",
        "certificates": "证书",
        "awards": "荣誉",
        "publications": "发表",
        "interests": "兴趣",
        "now": "至今",
    },
}
_HEADINGS: Final = {
    "work": (("position",), ("name", "location")),
    "volunteer": (("position",), ("organization",)),
    "projects": (("name",), ("entity",)),
    "education": (("studyType", "area"), ("institution",)),
    "skills": (("name",), ("level",)),
    "languages": (("language",), ("fluency",)),
    "certificates": (("name",), ("issuer",)),
    "awards": (("title",), ("awarder",)),
    "publications": (("name",), ("publisher",)),
    "interests": (("name",), ()),
}


def resume_text(resume: "Resume", width: int = 80) -> str:
    """Return a resume as readable text.

    Args:
        resume: With a JSON Resume document; unknown fields are left out.
        width: Columns of the terminal; lines are at most 90 wide.
    """
    width = min(width, TEXT_COLUMNS)
    language = "zh" if resume.language.lower().startswith("zh") else "en"
    titles = _TITLES[language]
    lines = list(_basics(resume, width))
    for section, headings in _HEADINGS.items():
        entries = [e for e in _items(resume.document.get(section)) if isinstance(e, dict)]
        if entries:
            lines += ["", titles[section], "─" * display_width(titles[section])]
        for number, entry in enumerate(entries):
            body = list(_body(entry, width))
            if number and (body or _dates(entry, titles["now"])):
                lines.append("")
            lines += [_heading(entry, headings, titles["now"], width), *body]
    return "\n".join(lines)


def _basics(resume: "Resume", width: int) -> Iterator[str]:
    basics = resume.document.get("basics")
    basics = basics if isinstance(basics, dict) else {}
    yield _text(basics.get("name")) or resume.title
    if label := _text(basics.get("label")):
        yield label
    place = basics.get("location")
    city = _text(place.get("city")) if isinstance(place, dict) else ""
    contact = [city, *(_text(basics.get(name)) for name in ("email", "phone", "url"))]
    if any(contact):
        yield " · ".join(filter(None, contact))
    if summary := _text(basics.get("summary")):
        yield ""
        yield from wrap(summary, width)


def _heading(
    entry: dict[str, Any], names: tuple[tuple[str, ...], tuple[str, ...]], now: str, width: int
) -> str:
    first = " ".join(filter(None, (_text(entry.get(name)) for name in names[0])))
    second = ", ".join(filter(None, (_text(entry.get(name)) for name in names[1])))
    head = " · ".join(filter(None, (first, second)))
    dates = _dates(entry, now)
    if not dates and (words := _keywords(entry)):
        return f"{head}: {words}" if head else words
    gap = width - display_width(head) - display_width(dates)
    return f"{head}{' ' * max(2, gap)}{dates}" if dates else head


def _body(entry: dict[str, Any], width: int) -> Iterator[str]:
    for name in ("summary", "description"):
        if text := _text(entry.get(name)):
            yield from wrap(text, width)
    for highlight in _items(entry.get("highlights")):
        for number, line in enumerate(wrap(_text(highlight), width - 2)):
            yield f"{'  ' if number else '• '}{line}"
    if _dates(entry, "-") and (words := _keywords(entry)):
        yield from wrap(words, width)


def _keywords(entry: dict[str, Any]) -> str:
    return ", ".join(filter(None, (_text(word) for word in _items(entry.get("keywords")))))


def _dates(entry: dict[str, Any], now: str) -> str:
    start, end = _text(entry.get("startDate"))[:7], _text(entry.get("endDate"))[:7]
    if start:
        return f"{start} – {end or now}"
    return end or (_text(entry.get("date")) or _text(entry.get("releaseDate")))[:7]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
