"""The front door: answers what needs no work at once, and opens the house for the rest.

`--version`, `--help`, a bare `skillspace` and completions are answered from generated
constants; this module imports `gc`, `os` and `sys` and nothing else before it knows that more
is needed. Called as `skillspace` and as `python -m skillspace`. It never parses a command.
"""

import gc
import os
import sys

# Start-up only makes objects that live as long as the process: collecting them costs time
# and frees nothing. `cli.main` turns the collector on again before a command runs.
gc.disable()

COMPLETE_VARIABLE = "_SKILLSPACE_COMPLETE"


def main() -> int:
    """Run one command line and return its exit code; the console script's entry."""
    args = sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        # What an old terminal's encoding cannot show becomes `?` and does not end the command.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    try:
        code = _answer(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`): that is its right. What Python still holds for
        # stdout must not raise again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        return 130
    return code


def _answer(args: list[str]) -> int:
    if COMPLETE_VARIABLE in os.environ:
        from skillspace.cli.complete import complete

        return complete(os.environ)
    if args in (["--version"], ["-V"]):
        from skillspace.cli.generated import VERSION

        sys.stdout.write(f"skillspace {VERSION}\n")
        return 0
    if not args or args in (["--help"], ["-h"]):
        from skillspace.cli.generated import HELP
        from skillspace.cli.language import early_language

        sys.stdout.write(HELP[early_language(os.environ)])
        return 0
    from skillspace.cli.language import early_language, lang_flag
    from skillspace.core.text import set_language

    # Before the commands are imported: their help is written as they load.
    set_language(early_language(os.environ, lang_flag(args)))
    from skillspace.cli.main import run_command_line

    return run_command_line(args)


if __name__ == "__main__":
    sys.exit(main())
