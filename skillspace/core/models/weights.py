"""Reads the headers of safetensors files: how many parameters, and whether a file is whole.

Called by `models.folder`. Reads a few kilobytes of each file and never the weights.
"""

import math
from pathlib import Path
from typing import Any, Final

import msgspec

from skillspace.core.errors import NotAModel
from skillspace.core.text import t

# Source: the safetensors format: 8 bytes little-endian header length, a JSON object, the data;
# the reference implementation refuses a header above 100 MB.
_LENGTH_BYTES: Final = 8
_HEADER_LIMIT_BYTES: Final = 100_000_000
INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files of a model folder, in order of name.

    Raises:
        NotAModel: There is none, the index is broken, or a file of the index is missing.
    """
    index = folder / INDEX
    if index.exists():
        try:
            parts = msgspec.json.decode(index.read_bytes())["weight_map"].values()
            names = sorted({str(part) for part in parts})
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            KeyError,
            TypeError,
            AttributeError,
            OSError,
        ) as error:
            raise _broken(index, t("it is no index of weights")) from error
        for name in names:
            if not (folder / name).is_file():
                raise NotAModel(
                    t("{path} is not complete: {name} is missing.", path=folder, name=name),
                    hint=t("If it was downloaded, download it again; that continues."),
                    path=str(folder),
                    missing=name,
                )
        return [folder / name for name in names]
    single = folder / SINGLE
    found = [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    if found:
        return found
    hint = t("A model folder holds config.json, a tokenizer and model.safetensors.")
    if any(folder.glob("*.bin")) or any(folder.glob("*.gguf")):
        hint = t("Only safetensors weights are read; convert the weights first.")
    raise NotAModel(
        t("{path} is no model: {name} is missing.", path=folder, name=SINGLE),
        hint=hint,
        path=str(folder),
        missing=SINGLE,
    )


def count_parameters(path: Path) -> int:
    """Return how many numbers a safetensors file holds.

    Raises:
        NotAModel: The file is cut short, or is no safetensors file.
    """
    header = _read_header(path)
    try:
        return sum(
            math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"
        )
    except (KeyError, TypeError) as error:
        raise _broken(path, t("it is no safetensors file")) from error


def _read_header(path: Path) -> dict[str, Any]:
    """Read the header and check that the data it speaks of is all there."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if size < _LENGTH_BYTES or not 2 <= length <= _HEADER_LIMIT_BYTES:
                raise _broken(path, t("it is no safetensors file"))
            raw = file.read(length)
    except OSError as error:
        raise _broken(path, str(error)) from error
    if len(raw) < length:
        raise _broken(path, t("it is cut short"))
    try:
        header: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        end = _LENGTH_BYTES + length + max(ends, default=0)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, IndexError) as error:
        raise _broken(path, t("it is no safetensors file")) from error
    if size != end:
        raise _broken(path, t("it is cut short") if size < end else t("it is too long"))
    return header


def _broken(path: Path, reason: str) -> NotAModel:
    return NotAModel(
        t("{path} cannot be read as weights: {reason}.", path=path, reason=reason),
        hint=t("If it was downloaded, remove the model and download it again."),
        path=str(path),
    )
