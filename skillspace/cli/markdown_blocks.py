"""How one block of Markdown looks in a terminal, whatever stands around it.

Called by `cli.markdown` alone, which cuts an answer into blocks. A block's look depends on its
own tokens only, so that blocks printed one by one look like the whole text printed at once.
Never prints, and shows a link's address instead of hiding it behind the text: the author is
a model.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich import box
from rich import markdown as rich_markdown
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import Segment
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

# Uses the terminal's own palette and background: readable on dark and on light.
CODE_THEME: Final = "ansi_dark"
CODE_INDENT: Final = 2
NUMBER_WIDTH: Final = 3

# Ideographs, kana, hangul and their punctuation. Source: Unicode UAX #11, classes W and F.
_WIDE: Final = (
    "\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff"
    "\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\U00020000-\U0003fffd"
)
# What may not end a line, and what may not begin one.
# Source: W3C, Requirements for Chinese Text Layout, section 3.1.3.
_OPENING: Final = "（〔［｛〈《「『【〖“‘(["
_CLOSING: Final = "，。、；：？！…）〕］｝〉》」』】〗”’,.;:?!)%]"
_WIDE_CHARACTER: Final = re.compile(f"[{_WIDE}]")
_ATOM: Final = re.compile(
    rf"\s+|[{re.escape(_OPENING)}]*(?:[{_WIDE}]|[^\s{_WIDE}]+)[{re.escape(_CLOSING)}]*|\S"
)


def new_parser() -> MarkdownIt:
    """Return the parser: CommonMark with tables and strikethrough, HTML shown as text."""
    options = {"html": False}
    return MarkdownIt("commonmark", options).enable("strikethrough").enable("table")


def tidy(tokens: Sequence[Token]) -> list[Token]:
    """Adapt parsed tokens to a terminal.

    An image becomes a link of its description; an address that is its own text stands once;
    a line end between two wide characters is no space.
    """
    for token in tokens:
        if token.type == "inline" and token.children:
            token.children = list(_tidy_inline(token.children))
    return list(tokens)


def _tidy_inline(children: Sequence[Token]) -> Iterator[Token]:
    bare_links = 0
    for i, token in enumerate(children):
        if token.type == "image":
            source = str(token.attrs.get("src", ""))
            yield Token("link_open", "a", 1, attrs={"href": source})
            yield Token("text", "", 0, content=token.content or source)
            yield Token("link_close", "a", -1)
        elif token.type == "link_open" and _is_bare(children, i):
            bare_links += 1
        elif token.type == "link_close" and bare_links:
            bare_links -= 1
        elif token.type == "softbreak" and _joins_wide(children, i):
            continue
        else:
            yield token


def _is_bare(children: Sequence[Token], opening: int) -> bool:
    """Whether a link's text is its address, as in `<https://…>`."""
    if opening + 2 >= len(children) or children[opening + 2].type != "link_close":
        return False
    return children[opening + 1].content == str(children[opening].attrs.get("href", ""))


def _joins_wide(children: Sequence[Token], at: int) -> bool:
    if at == 0 or at + 1 >= len(children):
        return False
    edges = children[at - 1].content[-1:] + children[at + 1].content[:1]
    return len(edges) == 2 and len(_WIDE_CHARACTER.findall(edges)) == 2


def break_offsets(text: str, width: int) -> list[int]:
    """Return where to break a text with wide characters into lines of at most `width` columns.

    A line may end at a space and beside any wide character, but no closing mark begins a line
    and no opening one ends it; a word longer than a line is cut.
    """
    offsets: list[int] = []
    used = 0
    for atom in _ATOM.finditer(text):
        columns = cell_len(atom.group())
        if used + columns <= width or atom.group().isspace():
            used += columns
            continue
        if used:
            offsets.append(atom.start())
        used = columns
        if columns > width:
            cuts, used = _cut_word(atom.group(), width)
            offsets.extend(atom.start() + cut for cut in cuts)
    return offsets


def _cut_word(word: str, width: int) -> tuple[list[int], int]:
    """Return the offsets at which a word too long for a line is cut, and its last width."""
    cuts: list[int] = []
    used = 0
    for i, character in enumerate(word):
        columns = cell_len(character)
        if used + columns > width and used:
            cuts.append(i)
            used = 0
        used += columns
    return cuts, used


def wrap(text: Text, width: int) -> Iterator[Text]:
    """Yield the lines of a styled text, broken as `break_offsets` says."""
    for paragraph in text.split("\n", allow_blank=True):
        paragraph.expand_tabs(8)
        for line in paragraph.divide(break_offsets(paragraph.plain, width)):
            line.rstrip()
            line.no_wrap = True
            yield line


def wrap_plain(text: str, width: int) -> list[str]:
    """Return the lines of a text without styles, broken as `break_offsets` says."""
    return [line.plain for line in wrap(Text(text), width)]


class Paragraph(rich_markdown.Paragraph):
    """A paragraph that breaks between Chinese characters, not only at spaces."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        if _WIDE_CHARACTER.search(self.text.plain):
            yield from wrap(self.text, options.max_width)
        else:
            self.text.justify = "left"
            yield self.text


class Heading(rich_markdown.Heading):
    """A heading, flush left."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        yield from wrap(self.text, options.max_width)


class CodeBlock(rich_markdown.CodeBlock):
    """Code in the terminal's own colours, indented, without a background to copy along."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the highlighted lines."""
        code = str(self.text).rstrip()
        syntax = Syntax(code, self.lexer_name, theme=CODE_THEME, word_wrap=True)
        yield Padding(syntax, (0, 0, 0, CODE_INDENT), expand=False)


class HorizontalRule(rich_markdown.MarkdownElement):
    """A line across, with an empty line around it like every other block."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the line."""
        yield Rule(style=console.get_style("markdown.hr", default="none"), characters="─")


class ListElement(rich_markdown.ListElement):
    """A list whose items stand alike however many follow."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the items' lines, each behind a bullet or a number."""
        first = 1 if self.list_start is None else self.list_start
        for number, item in enumerate(self.items, first):
            is_bullet = self.list_type == "bullet_list_open"
            mark = " •" if is_bullet else f"{number}.".rjust(NUMBER_WIDTH)
            kind = "bullet" if is_bullet else "number"
            mark_style = console.get_style(f"markdown.item.{kind}", default="none")
            inner = options.update(width=max(1, options.max_width - len(mark) - 1))
            lines = console.render_lines(item.elements, inner, style=item.style, pad=False)
            for i, line in enumerate(lines or [[]]):
                yield Segment((mark if i == 0 else " " * len(mark)) + " ", mark_style)
                yield from line
                yield Segment.line()


class TableElement(rich_markdown.TableElement):
    """A table with a line under its head and no empty lines around it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
        if self.header is not None and self.header.row is not None:
            for cell in self.header.row.cells:
                table.add_column(cell.content, header_style="bold", justify=cell.justify)
        if self.body is not None:
            for row in self.body.rows:
                table.add_row(*(cell.content for cell in row.cells))
        yield table


class Block(rich_markdown.Markdown):
    """One parsed block, ready for a console."""

    elements = {  # noqa: RUF012  # the parent declares it as a class variable
        **rich_markdown.Markdown.elements,
        "paragraph_open": Paragraph,
        "heading_open": Heading,
        "fence": CodeBlock,
        "code_block": CodeBlock,
        "hr": HorizontalRule,
        "bullet_list_open": ListElement,
        "ordered_list_open": ListElement,
        "table_open": TableElement,
    }

    def __init__(self, tokens: list[Token]) -> None:
        # The parent would build a parser of its own and parse again.
        self.markup = ""
        self.parsed = tokens
        self.code_theme = CODE_THEME
        self.justify = None
        self.style = "none"
        self.hyperlinks = False
        self.inline_code_lexer = None
        self.inline_code_theme = CODE_THEME


class BlockPrinter:
    """Turns blocks into lines of text with colours.

    Args:
        width: Columns a line may have.
        color: False leaves bold, italic and the like, but no colour.
        environment: Usually `os.environ`: says which colours the terminal knows.
    """

    def __init__(self, width: int, *, color: bool, environment: Mapping[str, str]) -> None:
        from io import StringIO

        self.width = width
        self._console = Console(
            file=StringIO(),
            width=width,
            force_terminal=True,
            legacy_windows=False,
            no_color=not color,
            highlight=False,
            emoji=False,
            markup=False,
            theme=Theme({"markdown.code": "bold cyan"}),
            _environ=environment,
        )

    def lines(self, tokens: list[Token]) -> list[str]:
        """Return the lines of one or more blocks, with an empty line between two."""
        with self._console.capture() as capture:
            self._console.print(Block(tokens), end="")
        lines = _as_lines(capture.get())
        # Rich puts an empty line before a list or table even if nothing stands before it.
        return lines[1:] if lines and not lines[0] and tokens[0].nesting else lines

    def one_line(self, text: str, style: str) -> str:
        """Return a short text as a single line, cut to the width."""
        cut = set_cell_size(text, self.width).rstrip() if cell_len(text) > self.width else text
        with self._console.capture() as capture:
            self._console.print(Text(cut, style, no_wrap=True), end="")
        return capture.get()


def _as_lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [line.rstrip(" ") for line in lines]
