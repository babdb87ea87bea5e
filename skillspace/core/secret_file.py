"""`secrets.toml`: the secret key, made once, readable by its owner alone.

Called when settings are read and when the app is first started. Two processes that start at
once get the same key. Never shows a secret in a message.
"""

import contextlib
import os
import secrets
import stat
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from skillspace.core.errors import SettingsError
from skillspace.core.settings import SECRET_KEY_MIN_CHARS
from skillspace.core.storage import storage_error, writing
from skillspace.core.text import t

# 48 bytes are 64 characters of URL-safe base64: 384 bits.
_KEY_BYTES: Final = 48


def read_secret(path: Path) -> str:
    """Return the secret key; empty when the file does not exist yet.

    Raises:
        SettingsError: The file can be read by others, is broken, or the key is too short.
        StorageUnavailable: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise (storage_error(error, path) or error) from error
    if os.name == "posix" and mode & 0o077:
        raise SettingsError(
            t("{path} can be read by others (mode {mode}).", path=path, mode=f"{mode:04o}"),
            hint=t("Close it: chmod 600 {path}", path=path),
            path=str(path),
        )
    try:
        secret = tomllib.loads(data.decode()).get("secret_key")
    except ValueError:
        secret = None
    if not isinstance(secret, str):
        raise SettingsError(
            t("{path} holds no secret_key.", path=path),
            hint=t("Restore it, or delete it to have a new one made; that ends all sessions."),
            path=str(path),
        )
    if len(secret) < SECRET_KEY_MIN_CHARS:
        raise SettingsError(
            t(
                "The secret_key in {path} has fewer than {count} characters.",
                path=path,
                count=SECRET_KEY_MIN_CHARS,
            ),
            hint=t("Delete the file to have a good one made; that ends all sessions."),
            path=str(path),
        )
    return secret


def read_or_create_secret(path: Path) -> str:
    """Return the secret key, making the file first if there is none.

    The file appears whole and under its final mode: it is written beside its place and linked
    there, and the first of two processes wins.

    Raises:
        SettingsError: As `read_secret`.
        StorageUnavailable: The folder cannot be written.
    """
    secret = read_secret(path)
    if secret:
        return secret
    with writing(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes mode 0600 whatever the umask is.
        descriptor, made = tempfile.mkstemp(prefix=".secrets-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f'secret_key = "{secrets.token_urlsafe(_KEY_BYTES)}"\n')
                file.flush()
                os.fsync(file.fileno())
            _put_in_place(made, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(made)
    return read_secret(path)


def _put_in_place(made: str, path: Path) -> None:
    """Give the new file its name unless another process was first."""
    try:
        os.link(made, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links. The rename is whole too, but the last wins.
        if not path.exists():
            os.rename(made, path)
