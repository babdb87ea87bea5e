"""Streamed Markdown ends up as the whole text would look, and only our own codes come out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillspace.cli.markdown import StreamingMarkdown, render_markdown
from skillspace.cli.markdown_blocks import BlockPrinter, break_offsets, new_parser, tidy
from skillspace.cli.output import display_width

ENVIRONMENT = {"TERM": "xterm-256color"}
OUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
ROOT = Path(__file__).parents[2]

BLOCKS = (
    "# Title",
    "## Second *level*",
    "one paragraph\nin two lines",
    "- a\n- b\n  - inner\n  - other\n- c",
    "1. one\n2. two\n\n   with more\n3. three",
    "10) ten\n11) eleven",
    "0. zero\n1. one",
    "> quote\n> more\nlazy",
    "```python\ndef f():\n    '''x\n\n    y'''\n\nprint(1)\n```",
    "~~~\nraw\n~~~",
    "```js\nnever closed",
    "| a | b |\n|---|---|\n| 1 | 2 |\n| 中文 | 4 |",
    "a | b\n--|--\n1 | 2",
    "***",
    "text\n***\nmore",
    "setext\n===",
    "text\n# head\ntext",
    "    code\n    more",
    "[ref]: http://x.y",
    "see [text][ref] and [ref]",
    "中文段落，很长很长很长的一个句子，包含 English 单词。\n换行",
    "- [ ] open\n- [x] done",
    "* s\n* t\n- u",
    "text\n1. list\n2. more",
    "<div>\nhtml\n</div>",
    "![image](http://i)",
    "1. a\n   ```\n   code\n   ```\n2. b",
    "text\n***bold***",
    "text\n#tag",
)
DOCUMENTS = st.lists(
    st.tuples(st.sampled_from(BLOCKS), st.sampled_from(("\n\n", "\n", "\n\n\n"))), min_size=1
).map(lambda parts: "".join(block + gap for block, gap in parts))


def draw_at_once(text: str, width: int) -> list[str]:
    """Return the lines of a text that is parsed and drawn as one."""
    printer = BlockPrinter(width, color=True, environment=ENVIRONMENT)
    tokens = tidy(new_parser().parse(text))
    return printer.lines(tokens) if tokens else []


def draw_in_pieces(text: str, width: int, cuts: list[int], limit: int) -> list[str]:
    """Return all settled lines of a text that comes in pieces, with a frame after each."""
    markdown = StreamingMarkdown(width, color=True, environment=ENVIRONMENT)
    lines: list[str] = []
    fed = 0
    for cut in [*sorted(cuts), len(text)]:
        markdown.feed(text[fed:cut])
        fed = max(fed, cut)
        frame = markdown.frame(limit)
        assert len(frame.live) <= limit
        lines += frame.settled
    return lines + markdown.finish().settled


@settings(max_examples=150, deadline=None)
@given(text=DOCUMENTS, data=st.data())
def test_pieces_look_like_the_whole(text: str, data: st.DataObject) -> None:
    """However a text is cut, its settled lines are those of the whole text."""
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=25))
    assert draw_in_pieces(text, 40, cuts, limit=200) == draw_at_once(text, 40)


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_live_lines_fit_a_low_screen(limit: int) -> None:
    """The live end never exceeds its limit, and what was cut off is there in the end."""
    text = "| a |\n|---|\n" + "".join(f"| {n} |\n" for n in range(60)) + "\nend"
    pieces = draw_in_pieces(text, 30, list(range(0, len(text), 7)), limit)
    assert pieces == draw_at_once(text, 30)


def test_settled_blocks_are_handed_out_while_the_text_goes_on() -> None:
    """A closed block and a finished list item settle before the text ends; the open one waits."""
    markdown = StreamingMarkdown(40, color=False, environment=ENVIRONMENT)
    markdown.feed("first\n\n1. one\n2. two\n3. thr")
    frame = markdown.frame(20)
    plain = [OUR_CODES.sub("", line) for line in frame.settled]
    assert plain == ["first", "", " 1. one"]
    assert [OUR_CODES.sub("", line) for line in frame.live] == [" 2. two", " 3. thr"]


def test_long_code_settles_in_parts_that_change_no_line() -> None:
    """An open code block of hundreds of lines settles on the way, strings over lines included."""
    body = "".join(f"def f{n}():\n    '''a\n\n    b'''\n    return {n}\n\n" for n in range(40))
    text = f"```python\n{body}```\n\nend"
    markdown = StreamingMarkdown(60, color=True, environment=ENVIRONMENT)
    lines: list[str] = []
    most_live = 0
    for start in range(0, len(text), 50):
        markdown.feed(text[start : start + 50])
        frame = markdown.frame(500)
        lines += frame.settled
        most_live = max(most_live, len(frame.live))
    lines += markdown.finish().settled
    assert lines == draw_at_once(text, 60)
    assert most_live < 60


def test_late_definition_is_shown_not_lost() -> None:
    """A definition that comes after its use scrolled away is shown as a line of its own."""
    text = "see [the page][ref]\n\n" + "text\n\n" * 20 + "[ref]: http://x.y\n\nend"
    lines = draw_in_pieces(text, 40, list(range(0, len(text), 9)), limit=5)
    plain = [OUR_CODES.sub("", line) for line in lines]
    assert "see [the page][ref]" in plain
    assert "[ref]: http://x.y" in plain


def test_links_show_where_they_lead() -> None:
    """A link's address stands beside its text, once; no hyperlink code hides it."""
    text = "[bank](http://evil.example) <http://x.y>"
    plain = OUR_CODES.sub("", "".join(render_markdown(text, 80, color=True, environment={})))
    assert plain == "bank (http://evil.example) http://x.y"


@pytest.mark.parametrize("width", [20, 21, 33])
def test_chinese_fills_lines_and_keeps_marks_in_place(width: int) -> None:
    """Chinese breaks between characters, within the width, with no mark at a line's wrong end."""
    text = "使用 Python 编写函数（它接受列表），返回“偶数”的和：注意边界情况，空列表返回 0。" * 3
    lines = render_markdown(text, width, color=False, environment=ENVIRONMENT)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(display_width(line) <= width for line in lines)
    assert not any(line[0] in "，。：）”" or line[-1] in "（“" for line in lines)
    assert all(display_width(line) >= width // 2 for line in lines[:-1])


@given(text=st.text(max_size=200), width=st.integers(4, 40))
@settings(max_examples=200, deadline=None)
def test_breaks_lose_nothing(text: str, width: int) -> None:
    """Break offsets rise and lie within the text, so that its lines join to it."""
    offsets = break_offsets(text, width)
    assert offsets == sorted(set(offsets))
    assert all(0 < offset < len(text) for offset in offsets)


HOSTILE = (
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\",
    "\x1bP1$r\x1b\\",
    "\x9b31m",
    "a\rb",
    "\x1b[6n",
    "\x1b(0",
    "\x07\x08",
    "\u202egnp.exe",
    "```sh\n\x1b[31mred\n```",
    "[\x1b[2Jx](http://a/\x1b]0;t\x07)",
    "`\x1b[?1049h`",
)


@pytest.mark.parametrize("split", [1, 3, 1000])
@pytest.mark.parametrize("text", HOSTILE)
def test_escape_codes_of_a_model_never_come_out(text: str, split: int) -> None:
    """Whatever a model writes, and however it is cut, only colours of ours reach the terminal."""
    markdown = StreamingMarkdown(40, color=True, environment=ENVIRONMENT)
    lines: list[str] = []
    whole = f"before {text} after\n\nnext"
    for start in range(0, len(whole), split):
        markdown.feed(whole[start : start + split])
        frame = markdown.frame(10)
        lines += [*frame.settled, *frame.live]
    lines += markdown.finish().settled
    for line in lines:
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", OUR_CODES.sub("", line))
    assert "next" in lines[-1]


def test_without_color_no_color_comes_out() -> None:
    """With colour off, bold and the like stay and no colour is set."""
    text = "# t\n\n`code` **bold**\n\n```python\nx = 1\n```\n"
    lines = render_markdown(text, 40, color=False, environment=ENVIRONMENT)
    codes = re.findall(r"\x1b\[([0-9;]*)m", "".join(lines))
    assert codes
    assert {number for code in codes for number in code.split(";")} <= {"0", "1", "2", "3", "4"}


def test_resize_breaks_the_open_text_anew() -> None:
    """After a resize the open block has lines of the new width."""
    markdown = StreamingMarkdown(60, color=False, environment=ENVIRONMENT)
    markdown.feed("word " * 30)
    wide = markdown.frame(50).live
    markdown.resize(20)
    narrow = markdown.frame(50).live
    assert len(narrow) > len(wide)
    assert all(len(line) <= 20 for line in narrow)


def test_plain_answers_need_no_rich() -> None:
    """What shows an answer in a pipe loads neither Rich nor a Markdown parser."""
    program = (
        "import sys, skillspace.cli.chat, skillspace.cli.answer, skillspace.cli.views\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "sys.exit(', '.join(loaded & {'rich', 'markdown_it', 'prompt_toolkit', 'sqlalchemy'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""
