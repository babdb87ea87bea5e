"""CPU seconds to show a streamed 20 KB Markdown answer on a terminal, in two ways.

Ours (settled blocks printed once, the open one redrawn) beside Rich's `Live` over the whole
text, for 200 tokens per second into a real pseudo-terminal that another process reads. Ours
keeps the pace of `cli.answer`; the other draws 12 frames per second. Time is counted, not
waited for, so a run takes seconds.

    python bench/stream_markdown.py [--json]
"""

import json
import os
import pty
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from io import TextIOWrapper
from typing import Final

FRAME_S: Final = 1 / 12
TOKENS_PER_S: Final = 200
TOKEN_CHARACTERS: Final = 4
ANSWER_CHARACTERS: Final = 20_480
COLUMNS, ROWS = 100, 40
RUNS: Final = 3
ENVIRONMENT: Final[Mapping[str, str]] = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}

SECTION: Final = """## Section {n}: what to look at

A paragraph with **bold**, *italic*, `code` and a [link](https://example.org/{n}), long enough to
be broken over several lines of a terminal, as paragraphs of answers mostly are in practice.

- first point of list {n}, with some text behind it
- second point
  - a nested point with `code`
  - another one
- third point, 以及一些中文，用来检查宽度和换行是否正确

```python
def answer_{n}(values: list[int]) -> int:
    total = 0
    for value in values:
        total += value * {n}
    return total
```

| Name | Value | Note |
|------|------:|------|
| one | {n} | short |
| two | {n}00 | a longer note in this cell |

1. A numbered step.
2. Another one, with **emphasis**.

> A quotation that closes section {n}.

"""

CODE_LINE: Final = "    result_{n} = compute(value, key='{n}')  # line {n} of a long block\n"
LIST_ITEM: Final = "{n}. Step {n}: do **this**, then `that`, and look at the result.\n"


def answers() -> dict[str, str]:
    """Return the shapes of answer that are measured, each of 20 KB."""
    mixed = "".join(SECTION.format(n=n) for n in range(1, 60))
    code = "```python\ndef f():\n" + "".join(CODE_LINE.format(n=n) for n in range(1, 400))
    items = "".join(LIST_ITEM.format(n=n) for n in range(1, 500))
    prose = "".join(f"Sentence {n} of one paragraph without end. " for n in range(1, 600))
    shapes = {"mixed": mixed, "one code block": code, "one list": items, "one paragraph": prose}
    return {name: text[:ANSWER_CHARACTERS] for name, text in shapes.items()}


def arrived(text: str, second: float) -> str:
    """Return what has arrived by this second."""
    return text[: int(second * TOKENS_PER_S * TOKEN_CHARACTERS)]


def show_settled(text: str, out: TextIOWrapper) -> None:
    """Show it our way."""
    from skillspace.cli.answer import pause_after_s
    from skillspace.cli.markdown import StreamingMarkdown
    from skillspace.cli.painter import Painter

    markdown = StreamingMarkdown(COLUMNS - 1, color=True, environment=ENVIRONMENT)
    painter = Painter(COLUMNS)
    second, fed = FRAME_S, 0
    while fed < len(text):
        began = time.perf_counter()
        now = arrived(text, second)
        markdown.feed(now[fed:])
        fed = len(now)
        frame = markdown.frame(ROWS - 1)
        out.write(painter.paint(frame.settled, frame.live, COLUMNS))
        out.flush()
        second += pause_after_s(time.perf_counter() - began)
    last = markdown.finish()
    out.write(painter.paint(last.settled, [], COLUMNS))
    out.flush()


def show_redrawn(text: str, out: TextIOWrapper) -> None:
    """Show it with everything drawn again in each frame."""
    from rich.console import Console
    from rich.live import Live
    from rich.markdown import Markdown

    console = Console(
        file=out, force_terminal=True, width=COLUMNS, height=ROWS, _environ=ENVIRONMENT
    )
    second, shown = 0.0, ""
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        while len(shown) < len(text):
            second += FRAME_S
            shown = arrived(text, second)
            live.update(Markdown(shown), refresh=True)


def measure(show: Callable[[str, TextIOWrapper], None], text: str) -> tuple[float, int]:
    """Return the CPU seconds of this process and the bytes that reached the terminal."""
    master, slave = pty.openpty()
    receipt, report = os.pipe()
    reader = os.fork()
    if reader == 0:
        os.close(slave)
        count = 0
        try:
            while data := os.read(master, 65536):
                count += len(data)
        except OSError:
            # Linux says EIO when the other side is closed.
            pass
        os.write(report, str(count).encode())
        os._exit(0)
    os.close(master)
    with os.fdopen(slave, "w", encoding="utf-8") as out:
        began = time.process_time()
        show(text, out)
        took = time.process_time() - began
    os.waitpid(reader, 0)
    return took, int(os.read(receipt, 32))


def main() -> None:
    """Measure every shape both ways and print the medians."""
    rows = []
    for shape, text in answers().items():
        for name, show, runs in (("settled", show_settled, RUNS), ("redrawn", show_redrawn, 1)):
            measured = [measure(show, text) for _ in range(runs)]
            seconds = statistics.median(took for took, _ in measured)
            rows.append(
                {"answer": shape, "way": name, "cpu_s": round(seconds, 2), "bytes": measured[-1][1]}
            )
    if "--json" in sys.argv:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'answer':<16} {'way':<8} {'CPU s':>7} {'written KB':>11}")
    for row in rows:
        size = int(str(row["bytes"])) // 1024
        print(f"{row['answer']:<16} {row['way']:<8} {row['cpu_s']:>7} {size:>11}")


if __name__ == "__main__":
    main()
