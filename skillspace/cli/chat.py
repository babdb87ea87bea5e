"""`skillspace chat`: one answer to an argument or to stdin, or a conversation without either.

Called by `cli.main`. stdout holds the answer alone; what there is to say about it goes to
stderr. The conversation is in `cli.repl`, the drawing in `cli.views`.
"""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from skillspace.cli.commands import JsonOption, examples, new_group, streams_of
from skillspace.cli.exits import Exit
from skillspace.cli.run import run_app
from skillspace.cli.streams import Streams
from skillspace.cli.wishes import Wishes
from skillspace.core.errors import InvalidInput
from skillspace.core.text import t

if TYPE_CHECKING:
    from skillspace.cli.answer import AnswerView, Ending
    from skillspace.core.app import SkillSpace
    from skillspace.core.chat.values import Exchange

AUTO: Final = "auto"

app = new_group(t("Talk with the assistant, or ask it one thing."))


@app.command(
    "chat",
    help=t(
        "Ask the assistant one thing, or talk with it. Text on stdin goes before the prompt. "
        "Without a prompt, on a terminal, a conversation begins."
    ),
    epilog=examples(
        ('skillspace chat "How do I start a resume?"', t("Ask one thing.")),
        ("cat job.txt | skillspace chat summarise", t("Ask about a text.")),
        ('skillspace chat -c "And for a career changer?"', t("Go on with the last session.")),
        ("skillspace chat", t("Talk; /help says what can be typed.")),
        ('skillspace chat --json "hi" | jq -r .answer', t("For programs.")),
    ),
)
def chat(
    context: typer.Context,
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMPT", help=t("What to ask; several words need no quotes.")),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            "-s",
            metavar="SESSION",
            help=t("Go on with this session: its id, its title, or `last`."),
        ),
    ] = None,
    go_on: Annotated[
        bool, typer.Option("--continue", "-c", help=t("Go on with the session used last."))
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help=t("Model that answers.")),
    ] = None,
    system: Annotated[
        str | None,
        typer.Option("--system", metavar="TEXT", help=t("Instruction for the session.")),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            metavar="NUMBER",
            help=t("Randomness, 0 to 2; 0 always takes the likeliest word."),
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p",
            metavar="NUMBER",
            help=t("Share of the probability to choose from; above 0, up to 1."),
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            "--top-k",
            metavar="NUMBER",
            help=t("How many of the likeliest words to choose from; 0 means all."),
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", metavar="NUMBER", help=t("Longest answer, in tokens.")),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="NUMBER", help=t("Same seed, same answer.")),
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option("--stop", metavar="TEXT", help=t("Ends the answer; may be repeated.")),
    ] = None,
    show_thinking: Annotated[
        bool | None,
        typer.Option(
            "--show-thinking/--hide-thinking", help=t("Show what the model thinks, dimmed.")
        ),
    ] = None,
    resume: Annotated[
        int | None,
        typer.Option(
            "--resume", metavar="RESUME", help=t("Number of a resume that the model may read.")
        ),
    ] = None,
    no_save: Annotated[
        bool, typer.Option("--no-save", help=t("Keep neither prompt nor answer."))
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help=t("Plain text on a terminal too, no Markdown."))
    ] = False,
    as_json: JsonOption = False,
    by_event: Annotated[
        bool, typer.Option("--stream", help=t("With --json: one object per event, as it comes."))
    ] = False,
) -> None:
    """Ask one thing, or talk."""
    streams = streams_of(context)
    wishes = Wishes(
        session=session,
        go_on=go_on,
        model=model,
        system=system,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        max_tokens=max_tokens,
        seed=seed,
        stop=tuple(stop or ()),
        show_thinking=show_thinking,
        resume_id=resume,
        save=not no_save,
        as_json=as_json,
        by_event=by_event,
        raw=raw,
    )
    wishes.check()
    asked = read_prompt(streams, " ".join(prompt or ()))
    if asked is None:
        code = _talk(streams, wishes)
    else:
        text, piped = asked
        code = run_app(
            streams,
            lambda space: answer_once(space, streams, wishes, text, context=piped),
            run_tasks=True,
        )
    if code:
        raise typer.Exit(code)


def read_prompt(streams: Streams, prompt: str) -> tuple[str, str] | None:
    """Return the prompt and the text that goes before it; None when a conversation is wanted.

    Args:
        streams: stdin is read to its end unless it is a terminal.
        prompt: What stands on the command line; `-` alone stands for stdin.

    Raises:
        InvalidInput: stdin is not UTF-8, or there is nothing to ask.
    """
    prompt = prompt.strip()
    if streams.stdin_is_tty and prompt != "-":
        return (prompt, "") if prompt else None
    piped = streams.read_all().strip("\n")
    if prompt in ("", "-"):
        prompt, piped = piped, ""
    if not prompt.strip():
        raise InvalidInput(
            t("The prompt is empty."),
            hint=t('Give one: skillspace chat "How do I start a resume?"'),
        )
    return prompt, piped


async def answer_once(
    space: "SkillSpace", streams: Streams, wishes: Wishes, prompt: str, *, context: str = ""
) -> int:
    """Ask one thing, show the answer, and return the exit code.

    Args:
        space: Open, and running tasks.
        streams: The answer goes to stdout, talk to stderr.
        wishes: Checked.
        prompt: Not empty.
        context: Text that goes before it.

    Raises:
        BrokenPipeError: Nobody reads stdout any more; what there was is kept.
        SkillSpaceError: It was not accepted, or it failed.
    """
    from skillspace.cli.answer import show_exchange

    session_id = await wishes.session_id(space)
    ask = wishes.ask(space, prompt, context=context, session_id=session_id)
    tell_model(space, streams, wishes.model)
    exchange = await space.chat.ask(space.actor, ask)
    view = choose_view(space, streams, wishes, exchange)
    ending = await show_exchange(space, streams, exchange, view)
    return conclude(streams, exchange, ending, is_new=session_id is None)


def choose_view(
    space: "SkillSpace", streams: Streams, wishes: Wishes, exchange: "Exchange"
) -> "AnswerView":
    """Return how this answer is shown: JSON, rendered on a capable terminal, else plain."""
    from skillspace.cli import views

    if wishes.as_json:
        return views.JsonLinesView(exchange) if wishes.by_event else views.JsonView(exchange)
    if wishes.raw or not streams.out_is_tty or streams.environment.get("TERM") == "dumb":
        return views.PlainView()
    return views.RenderedView(streams, show_thinking=wishes.shows_thinking(space))


def tell_model(space: "SkillSpace", streams: Streams, model: str | None) -> None:
    """Say on stderr that the demo model answers, if nobody chose it.

    Args:
        space: Open.
        streams: Silent under `--quiet`.
        model: The model asked for; None for the configured one.
    """
    if (model or space.settings.model.name) != AUTO:
        return
    notice = space.models.resolve().notice
    if notice:
        streams.say(notice)


def conclude(streams: Streams, exchange: "Exchange", ending: "Ending", *, is_new: bool) -> int:
    """Say on stderr what there is to say about an answer, and return the exit code.

    Args:
        streams: Of this command line.
        exchange: What was asked.
        ending: How it went.
        is_new: Whether a session was begun; then a terminal is told how to go on.

    Raises:
        BrokenPipeError: Nobody reads stdout any more.
        SkillSpaceError: The answer failed, or was stopped by somebody else.
    """
    if ending.reader_left:
        raise BrokenPipeError
    for notice in ending.notices:
        streams.say(notice)
    error = ending.error
    if error is not None:
        if not error.hint and exchange.session_id is not None:
            error.hint = t("See what is kept: skillspace session show {id}", id=exchange.session_id)
        raise error
    if ending.was_stopped:
        streams.say(stopped_note(exchange))
        return Exit.INTERRUPTED
    if is_new and exchange.session_id is not None and streams.out_is_tty and streams.err_is_tty:
        from skillspace.cli.output import DIM, paint

        hint = t("Session {id}. Go on with: skillspace chat -c", id=exchange.session_id)
        streams.say(paint(hint, DIM, streams.err_color))
    return Exit.OK


def stopped_note(exchange: "Exchange") -> str:
    """Say what became of an answer that Ctrl-C stopped."""
    if exchange.session_id is None:
        return t("Stopped; nothing is kept.")
    return t(
        "Stopped. The partial answer is kept: skillspace session show {id}",
        id=exchange.session_id,
    )


def _talk(streams: Streams, wishes: Wishes) -> int:
    if wishes.as_json:
        raise InvalidInput(
            t("--json needs a prompt."), hint=t('For example: skillspace chat --json "hi"')
        )
    if not streams.out_is_tty:
        raise InvalidInput(
            t("A conversation needs a terminal on stdout too."),
            hint=t('Ask one thing instead: skillspace chat "hi"'),
        )
    from skillspace.cli.repl import converse

    return run_app(streams, lambda space: converse(space, streams, wishes), run_tasks=True)
