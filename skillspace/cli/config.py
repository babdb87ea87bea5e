"""`skillspace config`: show and change settings, with where each value comes from.

Called by `cli.main`. Works without a database, and on a file that is broken: `validate` and
`path` are how a person mends it. Never prints a secret.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillspace.cli.commands import JsonOption, examples, new_group, streams_of
from skillspace.core.text import t

if TYPE_CHECKING:
    from skillspace.cli.streams import Streams
    from skillspace.core.settings_sources import Loaded

app = new_group(t("Show and change settings."))

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help=t("Dotted name, such as chat.temperature."))
]


@app.command(
    "show",
    help=t("Show every setting, its value and where it comes from. Secrets are shown as stars."),
    epilog=examples("skillspace config show", "skillspace config show --json"),
)
def show_settings(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show every setting with its value and source."""
    from skillspace.cli.output import show_json, show_table
    from skillspace.core.settings import setting_keys, shown_value

    streams = streams_of(context)
    loaded = _load(streams)
    rows = [(key, shown_value(key, loaded.settings), loaded.sources[key]) for key in setting_keys()]
    if as_json:
        show_json(streams, {key: {"value": value, "source": why} for key, value, why in rows})
        return
    table = [(key, _toml(value), _source(why)) for key, value, why in rows]
    show_table(streams, [t("Setting"), t("Value"), t("Source")], table)


@app.command(
    "get",
    help=t("Print the value of one setting, as config.toml would hold it."),
    epilog=examples("skillspace config get chat.temperature"),
)
def get_setting(context: typer.Context, key: KeyArgument, as_json: JsonOption = False) -> None:
    """Print one value."""
    from skillspace.cli.output import show_json
    from skillspace.core.settings import shown_value
    from skillspace.core.settings_sources import find_key

    streams = streams_of(context)
    find_key(key)
    loaded = _load(streams)
    value = shown_value(key, loaded.settings)
    if as_json:
        show_json(streams, {"key": key, "value": value, "source": loaded.sources[key]})
        return
    streams.write(f"{value if isinstance(value, str) else _toml(value)}\n")


@app.command(
    "set",
    help=t("Store a setting in config.toml. It is checked first; comments in the file are kept."),
    epilog=examples(
        "skillspace config set chat.temperature 0.3",
        ("skillspace config set language zh", t("Speak Chinese from now on.")),
    ),
)
def set_setting(
    context: typer.Context,
    key: KeyArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help=t("The new value."))],
) -> None:
    """Store one setting."""
    from skillspace.core.home import find_home
    from skillspace.core.settings import starred
    from skillspace.core.settings_file import set_value

    streams = streams_of(context)
    home = find_home(streams.environment)
    stored = set_value(home, key, value)
    shown = _toml(starred(key, stored))
    streams.say(t("{key} is now {value} in {path}.", key=key, value=shown, path=home.config_file))
    _warn_of_override(streams, key)


@app.command(
    "unset",
    help=t("Remove a setting from config.toml, so that its default counts again."),
    epilog=examples("skillspace config unset chat.temperature"),
)
def unset_setting(context: typer.Context, key: KeyArgument) -> None:
    """Remove one setting."""
    from skillspace.core.home import find_home
    from skillspace.core.settings_file import unset_value

    streams = streams_of(context)
    home = find_home(streams.environment)
    if unset_value(home, key):
        streams.say(t("{key} is no longer in {path}.", key=key, path=home.config_file))
    else:
        streams.say(t("{key} was not in {path}.", key=key, path=home.config_file))


@app.command(
    "path",
    help=t("Print where settings and data are kept."),
    epilog=examples(
        "skillspace config path",
        ('$EDITOR "$(skillspace config path --file)"', t("Edit the settings by hand.")),
    ),
)
def show_paths(
    context: typer.Context,
    as_json: JsonOption = False,
    file: Annotated[
        bool, typer.Option("--file", help=t("Print the path of config.toml alone."))
    ] = False,
) -> None:
    """Print the folders; needs no valid settings."""
    from skillspace.cli.output import show_json, show_record
    from skillspace.core.home import find_home

    streams = streams_of(context)
    home = find_home(streams.environment)
    if file:
        streams.write(f"{home.config_file}\n")
        return
    paths = {
        "config_file": home.config_file,
        "secrets_file": home.secrets_file,
        "data": home.data,
        "state": home.state,
        "cache": home.cache,
    }
    if as_json:
        show_json(streams, paths)
    else:
        show_record(streams, paths)


@app.command(
    "validate",
    help=t("Check a settings file; without FILE, the settings in force."),
    epilog=examples("skillspace config validate", "skillspace config validate new.toml"),
)
def validate_settings(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help=t("A file to check instead."))
    ] = None,
) -> None:
    """Check settings; the error says what is wrong and where."""
    from skillspace.core.settings_sources import DEFAULT, check_file

    streams = streams_of(context)
    if file is not None:
        count = check_file(file)
        streams.say(t("{path} is valid; it sets {count} settings.", path=file, count=count))
        return
    loaded = _load(streams)
    count = sum(source != DEFAULT for source in loaded.sources.values())
    streams.say(t("The settings are valid; {count} are not at their default.", count=count))


def _load(streams: "Streams") -> "Loaded":
    from skillspace.core.settings_sources import load_settings

    return load_settings(streams.environment, streams.flags)


def _warn_of_override(streams: "Streams", key: str) -> None:
    """Say so when what was stored does not count because a variable wins."""
    from skillspace.core.settings import setting_keys

    variable = setting_keys()[key].variable
    if streams.environment.get(variable):
        streams.say(t("{name} is set in the environment and wins over the file.", name=variable))


def _source(source: str) -> str:
    return t("default") if source == "default" else source.replace(os.sep, "/")


def _toml(value: object) -> str:
    """Return a value as TOML writes it, which for these types is also JSON."""
    import msgspec

    return msgspec.json.encode(value).decode()
