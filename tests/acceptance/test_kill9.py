"""Processes killed with SIGKILL at any moment lose nothing, repeat nothing, hang nobody."""

import sqlite3
from pathlib import Path

from tests.acceptance.crashes import Battery, check


def test_killed_processes_lose_and_repeat_nothing(home: Path) -> None:
    """Every accepted task ends once, its log whole, its answer what every reader joined.

    Readers that were cut off and came back, in another process, join exactly the stored text.
    """
    battery = Battery(home, seed=9)
    battery.run(cycles=8)
    verdict = check(home)
    assert verdict.breaches == []
    # The kills must have hit something, or nothing was shown.
    assert verdict.accepted > 20
    assert verdict.cut_short > 0
    assert battery.takeovers_s


def test_the_check_sees_a_breach(home: Path) -> None:
    """A check that cannot fail shows nothing: a lost task and a changed answer are found."""
    battery = Battery(home, seed=1)
    battery.run(cycles=0)
    base = sqlite3.connect(home / "data" / "skillspace.db")
    with base:
        base.execute("UPDATE messages SET text = text || '!' WHERE role = 'assistant'")
    base.close()
    (home / "1.accepted").write_text('{"id": "none"}\n')
    (home / "1.seen").write_text("")
    breaches = " ".join(check(home).breaches)
    assert "none: accepted and lost" in breaches
    assert "the stored answer is not what readers join" in breaches
