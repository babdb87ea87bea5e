"""Markdown that arrives in pieces, as lines for a terminal: what is settled, and what may change.

A block that a later line can no longer change is settled: it is handed out once and never
again. Only the open end is shown anew with every frame. When the text is finished, all lines
handed out are those of the whole text. Called by `cli.views`, and by `cli.repl` and
`cli.session` for texts that are whole; knows widths, but no streams and no clock, and never
prints.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from markdown_it.common.utils import normalizeReference
from markdown_it.token import Token

from skillspace.cli.clean import SafeStream
from skillspace.cli.markdown_blocks import BlockPrinter, new_parser, tidy

FENCE_SPLIT_LINES: Final = 24
"""An open code block with more lines is handed out in parts, so that a frame stays cheap."""
FENCE_TAIL_LINES: Final = 6

# The beginning of a last line that may still become anything: it is shown when more is there.
_ONLY_MARKUP: Final = re.compile(r"(?:^|\n)[ ]{0,3}[#*\-=~`>|+_.:\d)\[\]! ]{1,12}\Z")
# Text in brackets that a definition further down could turn into a link; no tick box.
_POSSIBLE_REFERENCE: Final = re.compile(r"\[(?![ xX]?\])([^\[\]]+)\]")


_Targets = tuple[tuple[str, str], ...]


class Frame(NamedTuple):
    """What to show now.

    Args:
        settled: Lines that follow all settled lines before them and never change.
        live: Lines that stand below them until the next frame replaces them.
    """

    settled: list[str]
    live: list[str]


class _Unit(NamedTuple):
    """A part of the text that settles as a whole: a block, or one item of a list.

    Args:
        first: Its first line in the open text.
        source: Its text.
        gap: Whether an empty line stands before it.
        number: What a list's item is counted as; None for everything else.
    """

    first: int
    source: str
    tokens: list[Token]
    gap: bool
    number: int | None


class StreamingMarkdown:
    """A text in the making.

    Args:
        width: Columns of a line.
        color: False keeps bold and italic only.
        environment: Usually `os.environ`: says which colours the terminal knows.
    """

    def __init__(self, width: int, *, color: bool, environment: Mapping[str, str]) -> None:
        self._clean = SafeStream()
        self._parser = new_parser()
        self._color = color
        self._environment = environment
        self._printer = BlockPrinter(width, color=color, environment=environment)
        self._open = ""
        self._is_finished = False
        self._next_fence_split = FENCE_SPLIT_LINES
        # What the settled text left behind for the open one: whether a block stood before,
        # the number of the next item if we are inside a list, definitions, and labels
        # printed before anything defined them.
        self._gap = False
        self._is_inside = False
        self._number = 0
        self._references: dict[str, Any] = {}
        self._given_up: set[str] = set()
        self._drawn: dict[tuple[str, int | None, _Targets], list[str]] = {}

    def feed(self, text: str) -> None:
        """Take the next piece of the text, of any length; it is cleaned here."""
        self._open += self._clean.feed(text)

    def resize(self, width: int) -> None:
        """Break the lines that are still to come to another width."""
        if width != self._printer.width:
            self._printer = BlockPrinter(width, color=self._color, environment=self._environment)
            self._drawn.clear()

    def finish(self) -> Frame:
        """Settle everything; nothing may be fed afterwards."""
        self._open += self._clean.finish()
        self._is_finished = True
        return self.frame(0)

    def frame(self, limit_lines: int) -> Frame:
        """Return what to show now.

        Args:
            limit_lines: Live lines at most. Of an open block that is taller, the end is
                shown; all of it follows when it is settled.
        """
        units, references = self._parse()
        targets = tuple((label, found["href"]) for label, found in references.items())
        drawn = [self._draw(unit, targets, unit is units[-1]) for unit in units]
        count = self._count_settled(units, drawn, references, limit_lines)
        settled = [line for lines in drawn[:count] for line in lines]
        live = [line for lines in drawn[count:] for line in lines]
        if count:
            settled += self._leave_behind(units, count)
        elif len(units) == 1 and units[0].tokens[0].type == "fence":
            part = self._split_fence(units[0], drawn[0])
            settled, live = settled + live[:part], live[part:]
        return Frame(settled, live[-limit_lines:] if limit_lines else [])

    def _parse(self) -> tuple[list[_Unit], dict[str, Any]]:
        text = self._open if self._is_finished else _ONLY_MARKUP.sub("\n", self._open)
        environment = {"references": dict(self._references)}
        tokens = tidy(self._parser.parse(text, environment))
        return self._units(tokens, text.split("\n")), environment["references"]

    def _units(self, tokens: Sequence[Token], lines: Sequence[str]) -> list[_Unit]:
        units: list[_Unit] = []
        gap = self._gap
        begin = 0
        for i, token in enumerate(tokens):
            if token.level or token.nesting == 1:
                continue
            block = list(tokens[begin : i + 1])
            begin = i + 1
            goes_on = self._is_inside and not units
            if block[0].type in ("bullet_list_open", "ordered_list_open"):
                number = self._number if goes_on else int(block[0].attrs.get("start", 1))
                units += _items(block, number, gap and not goes_on)
            else:
                units.append(_Unit(_first_line(block), "", block, gap and not goes_on, None))
            gap = True
        starts = [unit.first for unit in units] + [len(lines)]
        return [
            unit._replace(source="\n".join(lines[unit.first : end]).rstrip("\n"))
            for unit, end in zip(units, starts[1:], strict=True)
        ]

    def _draw(self, unit: _Unit, targets: _Targets, is_open: bool) -> list[str]:
        """Return the lines of one unit; a unit that did not change is not drawn again."""
        key = (unit.source, unit.number, targets)
        lines = self._drawn.get(key)
        if lines is None:
            lines = self._printer.lines(unit.tokens)
            if not is_open:
                self._drawn[key] = lines
        return ["", *lines] if unit.gap else lines

    def _count_settled(
        self,
        units: list[_Unit],
        drawn: list[list[str]],
        references: dict[str, Any],
        limit_lines: int,
    ) -> int:
        """Return how many units, from the first, no further text can change."""
        if self._is_finished:
            return len(units)
        complete = self._open.count("\n")
        height = sum(map(len, drawn))
        if height <= limit_lines and any(
            found["map"][1] > complete
            for label, found in references.items()
            if label not in self._references
        ):
            # An address is being written that blocks above may link to.
            return 0
        for i, following in enumerate(units[1:]):
            # A line that is not complete may still be anything; a table is known by its
            # second line.
            known = following.first + (following.tokens[0].type == "table_open")
            if known >= complete:
                return i
            labels = _open_labels(units[i].tokens, references) - self._given_up
            if labels and height <= limit_lines:
                # A definition may follow: as long as there is room, wait for it.
                return i
            self._given_up |= labels
            height -= len(drawn[i])
        return max(0, len(units) - 1)

    def _leave_behind(self, units: list[_Unit], count: int) -> list[str]:
        """Drop the text of the settled units, and keep what the rest needs of them.

        Returns:
            Lines for definitions that came too late.
        """
        self._gap = True
        self._is_inside = False
        if count == len(units):
            gone, self._open = self._open, ""
        else:
            following = units[count]
            gone, self._open = _cut_at_line(self._open, following.first)
            if units[count - 1].number is not None and following.number is not None:
                self._is_inside = not following.gap
                self._number = following.number
        self._next_fence_split = FENCE_SPLIT_LINES
        self._drawn = {}
        return self._keep_definitions(gone)

    def _keep_definitions(self, gone: str) -> list[str]:
        if "]:" not in gone:
            return []
        known = set(self._references)
        self._parser.parse(gone, {"references": self._references})
        late = [
            f"[{label.lower()}]: {found['href']}"
            for label, found in self._references.items()
            if label not in known and label in self._given_up
        ]
        return [self._printer.one_line(line, "dim") for line in late]

    def _split_fence(self, unit: _Unit, drawn: list[str]) -> int:
        """Settle the upper part of a long open code block, if that changes no line of it.

        *Why*: a highlighter may need the lines above (a string over many lines), so a place to
        cut is tried out: both parts drawn apart must give the lines drawn together.

        Returns:
            How many of the drawn lines are settled now.
        """
        fence = unit.tokens[0]
        code = fence.content.split("\n")
        if len(code) < self._next_fence_split:
            return 0
        self._next_fence_split = len(code) + FENCE_SPLIT_LINES // 2
        end = len(code) - FENCE_TAIL_LINES
        outer = (k for k in range(end, 0, -1) if code[k] and not code[k][0].isspace())
        for at in dict.fromkeys((next(outer, end), end)):
            while at > 0 and not code[at - 1].strip():
                at -= 1
            parts = ("\n".join(code[:at]), "\n".join(code[at:]))
            upper, lower = (self._printer.lines([fence.copy(content=part)]) for part in parts)
            gap = [""] if unit.gap else []
            if at > 0 and gap + upper + lower == drawn:
                head, opening_and_code = _cut_at_line(self._open, unit.first)
                opening, rest = _cut_at_line(opening_and_code, 1)
                self._keep_definitions(head)
                self._open = opening + _cut_at_line(rest, at)[1]
                self._is_inside = True
                self._next_fence_split = FENCE_SPLIT_LINES
                return len(gap) + len(upper)
        return 0


def render_markdown(
    text: str, width: int, *, color: bool, environment: Mapping[str, str]
) -> list[str]:
    """Return the lines of a whole text, as `StreamingMarkdown` hands them out in the end."""
    whole = StreamingMarkdown(width, color=color, environment=environment)
    whole.feed(text)
    return whole.finish().settled


def _cut_at_line(text: str, line: int) -> tuple[str, str]:
    lines = text.split("\n")
    head = "".join(f"{part}\n" for part in lines[:line])
    return head, "\n".join(lines[line:])


def _first_line(block: Sequence[Token]) -> int:
    return next((token.map[0] for token in block if token.map), 0)


def _items(block: list[Token], number: int, gap: bool) -> list[_Unit]:
    """Cut a list into one unit per item, each a list of its own with the right number."""
    head, foot = block[0], block[-1]
    units: list[_Unit] = []
    begin = 1
    for i, token in enumerate(block):
        if token.type != "list_item_close" or token.level != 1:
            continue
        item = block[begin : i + 1]
        begin = i + 1
        opening = head.copy(attrs={"start": number})
        units.append(_Unit(_first_line(item), "", [opening, *item, foot], gap, number))
        number, gap = number + 1, False
    return units


def _open_labels(tokens: Sequence[Token], references: Mapping[str, Any]) -> set[str]:
    """Return the labels in brackets that nothing has defined."""
    labels: set[str] = set()
    for token in tokens:
        for child in token.children or ():
            if child.type == "text" and "[" in child.content:
                found = _POSSIBLE_REFERENCE.findall(child.content)
                labels.update(map(normalizeReference, found))
    return labels - set(references)
