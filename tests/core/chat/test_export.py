"""Exports: JSON loses nothing, Markdown reads well and says what is partial."""

from datetime import UTC, datetime

import msgspec

from skillspace.core.chat.export import SessionExport, export_json, export_markdown
from skillspace.core.chat.views import MessageView, SessionView

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SESSION = SessionView(
    id=7,
    title="标题",
    system="Be brief.\nBe kind.",
    model="",
    version=3,
    message_count=2,
    last_text="…",
    created_at=MOMENT,
    updated_at=MOMENT,
)


def message(position: int, role: str, text: str, **more: object) -> MessageView:
    """Return a message with what matters here."""
    values = {
        "id": position,
        "session_id": 7,
        "position": position,
        "role": role,
        "status": "complete",
        "text": text,
        "thinking": "",
        "model": "",
        "task_id": None,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "created_at": MOMENT,
        "superseded_at": None,
    }
    return msgspec.convert(values | more, MessageView)


TURNS = (
    message(1, "user", "emoji 👩‍💻, \x1b[31m, \x00 and\nlines"),
    message(2, "assistant", "old", superseded_at=MOMENT),
    message(
        2,
        "assistant",
        "```py\nx\n```\n",
        status="partial",
        model="tiny",
        thinking="hm",
        task_id="t",
    ),
)


def test_json_is_lossless() -> None:
    """What was exported decodes to the same values, every field and replaced answer included."""
    export = SessionExport(exported_at=MOMENT, session=SESSION, messages=TURNS)
    text = export_json(export)
    assert msgspec.json.decode(text, type=SessionExport) == export
    told = msgspec.json.decode(text)
    assert (told["format"], told["schema"]) == ("skillspace.session", 1)
    assert text.endswith("}\n")


def test_json_tolerates_what_a_newer_version_adds() -> None:
    """A field that is not known yet does not make a file unreadable."""
    told = msgspec.to_builtins(SessionExport(exported_at=MOMENT, session=SESSION, messages=()))
    told["session"]["colour"] = "blue"
    assert msgspec.convert(told, SessionExport, strict=False).session == SESSION


def test_markdown_marks_partial_answers() -> None:
    """Each turn has its heading; a stopped answer says so; replaced answers are left out."""
    text = export_markdown(SESSION, TURNS)
    assert text.startswith("# 标题\n\n> Be brief.\n> Be kind.\n\n## You (2026-01-02 03:04 UTC)\n")
    assert "## Assistant (tiny, 2026-01-02 03:04 UTC)\n\n```py\nx\n```\n\n*This answer is" in text
    assert "old" not in text
    assert text.endswith("stopped.*\n")


def test_markdown_of_an_empty_session() -> None:
    """A session without messages is its title."""
    bare = msgspec.structs.replace(SESSION, system="")
    assert export_markdown(bare, ()) == "# 标题\n"


def test_markdown_says_why_there_is_no_answer() -> None:
    """A failed answer and one on its way have their heading and a sentence, not nothing."""
    turns = [message(2, "assistant", "", status=status) for status in ("failed", "pending")]
    text = export_markdown(SESSION, turns)
    assert "*There is no answer: it failed" in text
    assert "*The answer is still being written.*" in text
