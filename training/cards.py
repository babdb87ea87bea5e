"""Puts the measured figures into the pages that show them, between two marks.

Promises: the pages say what `figures.json` says; nothing else in them changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures: written by evaluate.py -->", "<!-- end of figures -->"
_ROWS = {
    "seen": "training wordings, noise included",
    "unseen_pairs": "unseen role and topic pairs",
    "unseen_phrasings": "unseen wordings, written by hand",
    "off_topic": "unseen off-topic questions, declined",
}


def figures_text(report: dict[str, Any]) -> str:
    """Return the table of a report, in Markdown.

    Args:
        report: What `evaluate.py` measured.
    """
    figures = report["figures"]
    lines = ["| set | questions | right | English | Chinese |", "|---|---|---|---|---|"]
    for name, label in _ROWS.items():
        row = figures[name]
        shares = " | ".join(f"{row[key] * 100:.1f} %" for key in ("right", "en", "zh"))
        lines.append(f"| {label} | {row['questions']} | {shares} |")
    declined = figures["on_topic_declined"] * 100
    lines += ["", f"Known subjects in an unseen wording that were declined: {declined:.1f} %."]
    if run := report.get("training"):
        lines.append(
            f"The run: seed {run['seed']}, {run['steps']:,} steps, {run['tokens']:,} tokens, "
            f"{run['minutes']} minutes on {report['machine']}."
        )
    return "\n".join(lines)


def write_figures(report: dict[str, Any], pages: list[Path]) -> None:
    """Replace what stands between the marks of each page.

    Args:
        report: What `evaluate.py` measured.
        pages: Markdown files; one without marks is an error.
    """
    for page in pages:
        text = page.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        if not rest or not after:
            raise ValueError(f"{page} lacks the marks for its figures")
        body = f"{before}{BEGIN}\n{figures_text(report)}\n{END}{after}"
        page.write_text(body, encoding="utf-8")
