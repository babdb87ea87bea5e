"""The conversation in a terminal: a prompt with history, slash commands, streamed answers.

Called by `cli.chat` when there is neither a prompt nor a pipe. Ctrl-C stops an answer and
comes back to the prompt, at the prompt it clears the line, Ctrl-D ends. Answers are kept as
they come: closing the terminal loses nothing that was shown.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from skillspace.cli.chat import choose_view, stopped_note, tell_model
from skillspace.cli.clean import safe_line
from skillspace.cli.exits import Exit
from skillspace.cli.output import BOLD, DIM, paint
from skillspace.cli.run import is_ending, report
from skillspace.cli.streams import Streams
from skillspace.cli.wishes import Wishes
from skillspace.core.errors import InvalidInput, SkillSpaceError
from skillspace.core.text import t

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from skillspace.core.app import SkillSpace
    from skillspace.core.chat.values import Exchange

SHOWN_TURNS: Final = 4
PROMPT: Final = "› "
CONTINUED: Final = "… "


class Conversation:
    """What has been agreed so far, and the commands that change it.

    Args:
        space: Open, and running tasks.
        streams: A terminal on both sides.
        wishes: The options of the command line; commands change a copy.
    """

    def __init__(self, space: "SkillSpace", streams: Streams, wishes: Wishes) -> None:
        self.space = space
        self.streams = streams
        self.wishes = wishes
        self.session_id: int | None = None
        self.commands: dict[str, tuple[Callable[[str], Awaitable[bool]], str, str]] = {
            "/help": (self.help, "", t("Show this.")),
            "/new": (self.new, "", t("Begin another session.")),
            "/regenerate": (self.regenerate, "", t("Answer the last prompt again.")),
            "/save": (self.save, t("FILE"), t("Write the conversation: .md or .json.")),
            "/model": (self.model, t("[NAME]"), t("Choose the model, or list them.")),
            "/session": (self.session, t("[ID]"), t("Go on with a session, or list them.")),
            "/thinking": (self.thinking, "on|off", t("Show what the model thinks, or hide it.")),
            "/system": (self.system, t("TEXT"), t("Give the session another instruction.")),
            "/quit": (self.quit, "", t("End; so does Ctrl-D.")),
        }

    async def take(self, text: str) -> bool:
        """Answer a prompt or carry out a command; False ends the conversation.

        Errors are told, never raised: the conversation goes on.
        """
        try:
            if not text.startswith("/"):
                await self.ask(text)
                return True
            word, _, rest = text.partition(" ")
            return await self._command(word)(rest.strip())
        except SkillSpaceError as error:
            report(self.streams, error)
            return True

    def _command(self, word: str) -> Callable[[str], Awaitable[bool]]:
        found = self.commands.get(word)
        if found is not None:
            return found[0]
        from difflib import get_close_matches

        near = get_close_matches(word, self.commands, n=1, cutoff=0.5)
        hint = t("Did you mean {name}?", name=near[0]) if near else t("See /help.")
        raise InvalidInput(t("There is no command {name}.", name=word), hint=hint)

    async def ask(self, prompt: str) -> None:
        """Ask, and show the answer."""
        ask = self.wishes.ask(self.space, prompt, session_id=self.session_id)
        exchange = await self.space.chat.ask(self.space.actor, ask)
        # The session has the instruction now; a resume goes with each prompt.
        if exchange.session_id is not None:
            self.wishes = replace(self.wishes, system=None)
        self.session_id = exchange.session_id
        await self._show(exchange)

    async def _show(self, exchange: "Exchange") -> None:
        from skillspace.cli.answer import show_exchange

        view = choose_view(self.space, self.streams, self.wishes, exchange)
        ending = await show_exchange(self.space, self.streams, exchange, view)
        for notice in ending.notices:
            self.streams.say(notice)
        self.streams.write("\n")
        if ending.reader_left:
            raise BrokenPipeError
        if ending.error is not None:
            raise ending.error
        if ending.was_stopped:
            self.tell(stopped_note(exchange))

    async def help(self, rest: str) -> bool:
        """Show the commands and keys."""
        for name, (_, argument, meaning) in self.commands.items():
            self.tell(f"{f'{name} {argument}':<20} {meaning}")
        self.tell(t("Enter sends; Alt-Enter or Ctrl-J begins a new line."))
        self.tell(t("Ctrl-C stops an answer or clears the line; Ctrl-D ends."))
        return True

    async def new(self, rest: str) -> bool:
        """Begin another session with the next prompt."""
        self.session_id = None
        self.tell(t("The next prompt begins a new session."))
        return True

    async def regenerate(self, rest: str) -> bool:
        """Answer the last prompt again."""
        exchange = await self.space.chat.regenerate(
            self.space.actor,
            self._current(),
            self.wishes.sampling(self.space),
            self.wishes.model,
        )
        await self._show(exchange)
        return True

    async def save(self, rest: str) -> bool:
        """Write the conversation to a file."""
        from skillspace.cli.files import write_file
        from skillspace.cli.session import Format, export_text

        if not rest:
            raise InvalidInput(t("/save needs the name of a file."))
        path = _path_of(rest)
        format_ = Format.JSON if path.suffix == ".json" else Format.MARKDOWN
        text = await export_text(self.space, str(self._current()), format_)
        write_file(path, text, replace=False, hint=t("Give another name."))
        self.tell(t("Written to {path}.", path=safe_line(str(path))))
        return True

    async def model(self, rest: str) -> bool:
        """Choose the model of the next answers, or list the models."""
        if rest:
            self.space.models.resolve(rest)
            self.wishes = replace(self.wishes, model=rest)
            self.tell(t("{name} answers from now on.", name=safe_line(rest)))
            return True
        for entry in self.space.models.list_models():
            self.tell(safe_line(entry.name))
        return True

    async def session(self, rest: str) -> bool:
        """Go on with another session, or list the newest."""
        if rest:
            found = await self.space.sessions.find(self.space.actor, rest)
            await self.go_on(found.id)
            return True
        sessions = await self.space.sessions.list(self.space.actor, limit=10)
        for one in sessions:
            mark = "›" if one.id == self.session_id else " "
            self.tell(f"{mark} {one.id:>4}  {safe_line(one.title)}")
        if not sessions:
            self.tell(t("There is no session yet."))
        return True

    async def thinking(self, rest: str) -> bool:
        """Show or hide what the model thinks."""
        if rest not in ("on", "off"):
            raise InvalidInput(t("/thinking is on or off."))
        self.wishes = replace(self.wishes, show_thinking=rest == "on")
        return True

    async def system(self, rest: str) -> bool:
        """Give the session another instruction, from the next prompt on."""
        self.wishes = replace(self.wishes, system=rest)
        self.tell(t("The instruction holds from the next prompt on."))
        return True

    async def quit(self, rest: str) -> bool:
        """End."""
        return False

    async def go_on(self, session_id: int) -> None:
        """Take up a session and show how it ended."""
        session = await self.space.sessions.get(self.space.actor, session_id)
        turns = await self.space.sessions.messages(self.space.actor, session_id, last=SHOWN_TURNS)
        self.session_id = session_id
        self.tell(f"{session_id}  {safe_line(session.title)}")
        for turn in turns:
            if turn.role == "user":
                self.streams.write(paint(PROMPT + safe_line(turn.text), BOLD, self.streams.color))
                self.streams.write("\n")
            elif turn.text:
                self._write_markdown(turn.text)
                if turn.status == "partial":
                    self.tell(t("This answer is not complete: it was stopped."))
        self.streams.out.flush()

    def _write_markdown(self, text: str) -> None:
        from skillspace.cli.markdown import render_markdown

        streams = self.streams
        lines = render_markdown(
            text, streams.width - 1, color=streams.color, environment=streams.environment
        )
        streams.write("\n".join(lines) + "\n")

    def _current(self) -> int:
        if self.session_id is None:
            raise InvalidInput(t("There is no session yet; ask something first."))
        return self.session_id

    def tell(self, text: str) -> None:
        """Say something about the conversation on stderr, dimmed."""
        self.streams.say(paint(text, DIM, self.streams.err_color))


def _path_of(typed: str) -> Path:
    return Path(typed).expanduser()


async def converse(space: "SkillSpace", streams: Streams, wishes: Wishes) -> int:
    """Talk until the person ends it; return the exit code.

    Args:
        space: Open, and running tasks.
        streams: A terminal on both sides.
        wishes: Checked.

    Raises:
        NotFound: There is no such session to go on with.
    """
    conversation = Conversation(space, streams, replace(wishes, session=None, go_on=False))
    session_id = await wishes.session_id(space)
    tell_model(space, streams, wishes.model)
    if session_id is not None:
        await conversation.go_on(session_id)
    else:
        if not wishes.save:
            conversation.tell(t("Nothing is kept: each prompt is answered by itself."))
        streams.say(paint(t("/help says what can be typed; Ctrl-D ends."), DIM, streams.err_color))
    session = _prompt_session(space, conversation)
    while True:
        try:
            text = await session.prompt_async()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return 0
        text = text.strip()
        if text and not await conversation.take(text):
            return 0
        if is_ending():
            return Exit.INTERRUPTED


def _prompt_session(space: "SkillSpace", conversation: Conversation) -> "PromptSession[str]":
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.output import create_output

    class Slash(Completer):
        """Completes commands and their values when TAB is pressed."""

        def get_completions(self, document: Any, complete_event: Any) -> Iterator[Completion]:
            typed = document.text_before_cursor
            for value, about in completions(conversation, typed):
                start = -len(typed.rpartition(" ")[2])
                yield Completion(value, start_position=start, display_meta=about)

    return PromptSession(
        message=PROMPT,
        history=_history(space, is_kept=conversation.wishes.save),
        completer=Slash(),
        complete_while_typing=False,
        multiline=True,
        key_bindings=_keys(),
        prompt_continuation=lambda width, line, is_soft: CONTINUED,
        output=create_output(conversation.streams.out),
        enable_history_search=False,
    )


def completions(conversation: Conversation, typed: str) -> list[tuple[str, str]]:
    """Return what may stand where the cursor is, each with what it is.

    Args:
        conversation: Knows the commands.
        typed: The text before the cursor; only a line that begins with `/` is completed.
    """
    from skillspace.core.db.glance import glance

    word, space, rest = typed.partition(" ")
    found: list[tuple[str, str]] = []
    if not typed.startswith("/") or "\n" in typed:
        return found
    if not space:
        found = [(name, about[2]) for name, about in sorted(conversation.commands.items())]
        rest = word
    elif word == "/thinking":
        found = [("on", ""), ("off", "")]
    elif word == "/model":
        found = [(entry.name, "") for entry in conversation.space.models.list_models()]
    elif word == "/session":
        found = glance("SESSION", conversation.streams.environment)
    return [(value, safe_line(about)) for value, about in found if value.startswith(rest)]


def _keys() -> Any:
    """Return the keys: Enter sends, Alt-Enter and Ctrl-J begin a new line."""
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def send(event: Any) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def new_line(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _history(space: "SkillSpace", *, is_kept: bool) -> Any:
    """Return the history of prompts, in a file that only its owner reads, or in memory."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    if not is_kept:
        return InMemoryHistory()
    path = space.settings.folders.state / "chat_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError:
        # A conversation without a history is better than none.
        return InMemoryHistory()
    return FileHistory(str(path))
