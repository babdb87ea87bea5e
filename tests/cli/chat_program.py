"""A process that chats with a scripted model, for tests that need real signals and terminals.

    python -m tests.cli.chat_program SCRIPT [PROMPT] [OPTION=VALUE ...]

SCRIPT names the answer; without a PROMPT it is a conversation.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from skillspace.cli.chat import answer_once
from skillspace.cli.repl import converse
from skillspace.cli.run import report, run_async
from skillspace.cli.streams import Streams
from skillspace.cli.wishes import Wishes
from skillspace.core.app import Replacements, open_app
from skillspace.core.errors import SkillSpaceError
from skillspace.core.settings_sources import load_settings
from skillspace.core.values import GenerateRequest, Piece
from tests.cli.spaces import ScriptedEngine

SCRIPTS: dict[str, tuple[str, ...]] = {
    "hello": ("Hello ", "**world**", "\n\n- one\n- two\n"),
    "thinking": ("<thinking>Let me see.\nYes.</thinking>", "The ", "answer."),
    "hostile": ("\x1b[2J\x1b]0;owned\x07", "safe\x1b", "[31m text\r\n", "\u202eend"),
    "long": tuple(f"Paragraph {n} of the answer.\n\n" for n in range(120)),
    "stubborn": ("First part.",),
    "held": ("First part.\n\n", "Second part"),
}


class HeldEngine(ScriptedEngine):
    """An engine that never ends by itself."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        for piece in self._pieces:
            yield Piece(text=piece)
        await asyncio.Event().wait()


class StubbornEngine(ScriptedEngine):
    """An engine that will not be cancelled, and says so."""

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Piece]:
        for piece in self._pieces:
            yield Piece(text=piece)
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                print("still here", file=sys.stderr, flush=True)


def main() -> int:
    """Chat once or talk, and return the exit code."""
    script, *rest = sys.argv[1:]
    options: dict[str, Any] = {}
    for word in [word for word in rest if "=" in word]:
        name, _, value = word.partition("=")
        options[name] = value == "yes" if value in ("yes", "no") else value
    prompt = next((word for word in rest if "=" not in word), "")
    kinds = {"held": HeldEngine, "stubborn": StubbornEngine}
    engine = kinds.get(script, ScriptedEngine)(SCRIPTS[script])
    streams = Streams.of_process()
    wishes = replace(Wishes(model="scripted"), **options)
    settings = load_settings(streams.environment, {}).settings.with_secrets()

    async def session() -> int:
        parts = Replacements(engine=engine)
        async with open_app(settings, run_tasks=True, replacements=parts) as space:
            if prompt:
                return await answer_once(space, streams, wishes, prompt)
            return await converse(space, streams, wishes)

    try:
        return run_async(session)
    except SkillSpaceError as error:
        return report(streams, error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # As the front door does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


if __name__ == "__main__":
    sys.exit(main())
