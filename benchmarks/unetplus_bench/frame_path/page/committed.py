"""The committed result files that the page of the fast path is made of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from unetplus_bench.device.words import device_title
from unetplus_bench.report.markdown import escaped
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER: Final = "frame_path"
"""Where they lie, below `benchmarks/results`."""

MAKERS: Final[Mapping[str, str]] = {
    "preprocessing": "unetplus_bench.preprocessing",
    "path": "unetplus_bench.frame_path",
    "path_fp32": "unetplus_bench.frame_path",
    "path_xeon": "unetplus_bench.frame_path",
    "lanes": "unetplus_bench.lanes",
    "grids": "unetplus_bench.grids",
}
"""The module that writes each file, by the file's name."""


def read(results: Path, name: str) -> dict[str, Any]:
    """Return one of the files.

    Parameters
    ----------
    results
        `benchmarks/results` of a checkout.
    name
        One of `MAKERS`.

    Raises
    ------
    InputError
        If there is none, or it is no JSON.
    """
    file = results / FOLDER / f"{name}.json"
    again = f"measure it with python -m {MAKERS[name]}"
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); {again}") from error
    except ValueError as error:
        raise InputError(f"{file} is no JSON; {again}") from error
    return content


def part(results: Path, name: str, file: str = "path") -> dict[str, Any]:
    """Return a part of a file of the path; see `unetplus_bench.frame_path.__main__.PARTS`.

    Raises
    ------
    InputError
        If the file is not there, or has no such part.
    """
    report = read(results, file)
    if name not in report:
        raise InputError(f"{results / FOLDER / file}.json has no part {name}; measure it with python -m {MAKERS[file]}")
    content: dict[str, Any] = report[name]
    return content


def machine(results: Path, name: str) -> str:
    """Return on which machine a file was measured."""
    return escaped(device_title(read(results, name)["device"]))


def commands(results: Path) -> str:
    """Return of every file what was typed, on which machine and commit, and what the machine was disturbed by."""
    blocks = []
    for name in MAKERS:
        report = read(results, name)
        commit = f", commit {report['commit']}" if report["commit"] else ""
        blocks.append(f"`{FOLDER}/{name}.json`, {machine(results, name)}{commit}:")
        if report["warnings"]:
            blocks.append("\n>\n".join(f"> {escaped(warning)}" for warning in report["warnings"]))
        blocks.append(f"```sh\n{report['command']}\n```")
    return "\n\n".join(blocks)
