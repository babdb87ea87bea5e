"""Where a command line runs: event loops start here, errors and signals become exit codes.

Called by `cli.main` (`run_command`) and by commands (`run_app`). Every error ends as one line
on stderr, a remedy, and a code of `cli.exits`; a stack trace is shown under `--verbose` only.
Knows no command.
"""

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from typer import _click
from typer._click.exceptions import (
    BadParameter,
    MissingParameter,
    NoArgsIsHelpError,
    NoSuchOption,
    UsageError,
)

from skillspace.cli.clean import safe_json, safe_line, safe_text
from skillspace.cli.commands import UnknownCommand
from skillspace.cli.exits import Exit, exit_code
from skillspace.cli.output import DIM, RED, paint
from skillspace.cli.streams import Streams
from skillspace.core.errors import Cancelled, InvalidInput, SkillSpaceError
from skillspace.core.text import t

if TYPE_CHECKING:
    from skillspace.core.app import SkillSpace

T = TypeVar("T")


def run_app(
    streams: Streams,
    work: Callable[["SkillSpace"], Awaitable[T]],
    *,
    run_tasks: bool = False,
    flags: Mapping[str, str] | None = None,
) -> T:
    """Open the app, await `work` with it, close it, and return what `work` returned.

    The first Ctrl-C cancels the running asyncio task, so that `work` ends in order (or what
    `on_interrupt` says happens instead); the second ends the process at once.

    Args:
        streams: Of this command line.
        work: Given the open app.
        run_tasks: Whether this process also runs background tasks while it is open.
        flags: Settings given by this command's options, by dotted key.

    Raises:
        SkillSpaceError: From the settings, from opening, or from `work`.
    """
    from skillspace.core.settings_sources import load_settings
    from skillspace.core.text import choose_language, set_language

    loaded = load_settings(streams.environment, {**streams.flags, **(flags or {})})
    settings = loaded.settings
    set_language(choose_language(settings.language, dict(streams.environment)))
    settings = settings.with_secrets()

    from skillspace.core.app import open_app
    from skillspace.core.log import start_log, stop_log

    async def session() -> T:
        async with open_app(settings, via="cli", run_tasks=run_tasks) as space:
            result = await work(space)
            interrupts = _interrupts.get()
            is_wanted = interrupts is None or not interrupts.count
            if is_wanted and space.tasks.running_here:
                streams.say(
                    t(
                        "Finishing {count} more task(s) found waiting; Ctrl-C keeps what is done.",
                        count=space.tasks.running_here,
                    )
                )
                await space.tasks.drain()
            return result

    log = start_log("debug" if streams.verbose else settings.log.level, streams.err)
    try:
        return run_async(session)
    finally:
        stop_log(log)


def run_async(work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine function on a fresh event loop that Ctrl-C cancels in order.

    Raises:
        KeyboardInterrupt: It was cancelled by Ctrl-C and did not end by itself.
        Cancelled: It was cancelled by somebody else.
    """

    import asyncio

    async def guarded() -> T:
        with _Interrupts() as interrupts:
            try:
                return await work()
            except asyncio.CancelledError:
                if interrupts.count:
                    raise KeyboardInterrupt from None
                raise Cancelled(t("The work was cancelled.")) from None

    return asyncio.run(guarded())


class _Interrupts:
    """Takes SIGINT and SIGTERM for the length of one event loop's work; in the main thread only.

    SIGTERM stops an answer as Ctrl-C does, and then the conversation too.
    """

    def __init__(self) -> None:
        import asyncio

        self.count = 0
        self.is_ending = False
        self.callbacks: list[Callable[[], None]] = []
        self._before: dict[int, Any] = {}
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()

    def __enter__(self) -> "_Interrupts":
        import signal
        import threading

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        self._token = _interrupts.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _interrupts.reset(self._token)
        import signal

        for number, before in self._before.items():
            signal.signal(number, before)

    def _on_signal(self, number: int, frame: object) -> None:
        import signal

        self.count += 1
        self.is_ending = self.is_ending or number == signal.SIGTERM
        if self.count > 1:
            # What the caller asked for is stored or rolled back by the database, not by us.
            os._exit(Exit.INTERRUPTED)
        self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        if self.callbacks:
            self.callbacks[-1]()
        elif self._task is not None:
            self._task.cancel()


_interrupts: ContextVar["_Interrupts | None"] = ContextVar("interrupts", default=None)


@contextlib.contextmanager
def on_interrupt(callback: Callable[[], None]) -> Iterator[None]:
    """Within this block the first Ctrl-C calls `callback` in the event loop, and no more.

    Used where a Ctrl-C stops one answer but not the conversation. Leaving the block forgets
    the Ctrl-C, so that the next one is again a first.
    """
    interrupts = _interrupts.get()
    if interrupts is None:
        yield
        return
    interrupts.callbacks.append(callback)
    try:
        yield
    finally:
        interrupts.callbacks.pop()
        if not interrupts.is_ending:
            interrupts.count = 0


def is_ending() -> bool:
    """Say whether SIGTERM asked this process to end."""
    interrupts = _interrupts.get()
    return interrupts is not None and interrupts.is_ending


def run_command(command: _click.Command, args: Sequence[str], streams: Streams) -> int:
    """Run a built command with its arguments and return the exit code; errors are told.

    Raises:
        BrokenPipeError: The reader of stdout has gone; the front door ends quietly.
    """
    as_json = "--json" in args
    try:
        with command.make_context("skillspace", list(args), obj=streams) as context:
            command.invoke(context)
        streams.out.flush()
    except typer.Exit as ended:
        return ended.exit_code
    except NoArgsIsHelpError as asked:
        streams.write(asked.ctx.get_help() + "\n")
    except UsageError as wrong:
        return report(streams, _usage_error(wrong), as_json=as_json)
    except SkillSpaceError as error:
        return report(streams, error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort, EOFError):
        if streams.err_is_tty:
            streams.complain("")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  # the last place where a mistake of ours can be told
        return report(streams, _explain(error), as_json=as_json, cause=error)
    return Exit.OK


def report(
    streams: Streams,
    error: SkillSpaceError,
    *,
    as_json: bool = False,
    cause: BaseException | None = None,
) -> int:
    """Tell an error on stderr and return its exit code.

    Args:
        streams: Where to.
        error: One line for people, or one JSON object under `--json`.
        as_json: Whether the command was called for a program.
        cause: What was raised in truth, for the stack trace of `--verbose`.
    """
    code = exit_code(type(error))
    if streams.verbose:
        import traceback

        told = cause or error
        streams.complain(safe_text("".join(traceback.format_exception(told)).rstrip()))
    if as_json:
        import msgspec

        body = {"code": error.code, "message": error.message, "hint": error.hint}
        evidence = {name: _plain(value) for name, value in error.evidence.items()}
        line = msgspec.json.encode({"error": {**body, **evidence}, "exit_code": int(code)})
        streams.complain(safe_json(line.decode()))
        return code
    label = paint(t("error:"), RED, streams.err_color)
    streams.complain(f"{label} {safe_line(error.message)}")
    if error.hint:
        label = paint(t("hint:"), DIM, streams.err_color)
        streams.complain(f"{label} {safe_line(error.hint)}")
    return code


def _plain(value: object) -> object:
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def _usage_error(error: UsageError) -> InvalidInput:
    """Say in our words what is wrong with a command line."""
    path = error.ctx.command_path if error.ctx else "skillspace"
    hint = t("See: {command}", command=f"{path} --help")
    message = error.format_message()
    if isinstance(error, NoSuchOption):
        message = t("There is no option {name}.", name=error.option_name)
        names = _option_names(error) if error.ctx else []
        hint = _nearest(error.option_name, names) or hint
    elif isinstance(error, MissingParameter) and error.param is not None:
        name = error.param.metavar or error.param.human_readable_name.upper()
        if error.param.param_type_name == "option":
            name = error.param.opts[0]
        message = t("{name} is missing.", name=name)
    elif isinstance(error, BadParameter):
        place = error.param_hint or (error.param.opts[0] if error.param else "")
        if error.param is not None and error.param.param_type_name == "argument":
            place = error.param.metavar or (error.param.name or "").upper()
        message = t("{name}: {problem}.", name=place, problem=error.message.rstrip("."))
    elif isinstance(error, UnknownCommand):
        message = t("There is no command {name}.", name=error.name)
        hint = _nearest(error.name, error.names) or hint
    return InvalidInput(message, hint=hint)


def _option_names(error: UsageError) -> list[str]:
    assert error.ctx is not None
    return [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts]


def _nearest(word: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, names, n=1, cutoff=0.5)
    return t("Did you mean {name}?", name=near[0]) if near else ""


def _explain(error: Exception) -> SkillSpaceError:
    """Turn an error nobody expected into one a person can be told about."""
    from skillspace.core.storage import storage_error

    known = storage_error(error)
    if known is not None:
        return known
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        # Bytes of the command line that are no UTF-8 come as halves of characters.
        return InvalidInput(
            t("The command line is not UTF-8 text."),
            hint=t("Check the terminal's encoding: locale"),
        )
    return SkillSpaceError(
        t("Something unexpected went wrong: {error}", error=f"{type(error).__name__}: {error}"),
        hint=t("Call it again as `skillspace --verbose …` for the details, and report them."),
    )
