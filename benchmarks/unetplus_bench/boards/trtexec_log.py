"""What the output of trtexec says, of TensorRT 8 to 11.

The format is that of `samples/common/sampleReporting.cpp`, `sampleOptions.cpp` and `sampleDevice.cpp`
of https://github.com/NVIDIA/TensorRT: lines with time and level, in sections that a title such as
`=== Performance summary ===` begins, between a line that says RUNNING and one that says how it ended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from unetplus_bench.boards.trtexec_precision import Run, shown_precision
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.manifest import Precision

Times = dict[str, float]
"""Milliseconds a call by name: "min", "max", "mean", "p50" for the median, "p99" for a percentile."""

_STATUS = re.compile(
    r"^&&&& (?P<status>RUNNING|PASSED|FAILED) TensorRT\.trtexec \[TensorRT v(?P<version>[\d.]+)\](?: \[b\d+\])?"
    r" # (?P<command>.*)$",
    re.MULTILINE,
)
_LINE = re.compile(r"^\[(?P<time>\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d)\] \[(?P<level>[VIWEF])\] ?(?P<text>.*)$", re.MULTILINE)
_TITLE = re.compile(r"=== (.+) ===$")
_BINDING = re.compile(r"^(?:Created input|Input) binding for (?P<name>.+) with dimensions (?P<shape>\d+(?:x\d+)*)")
_TIME = re.compile(r"(?P<name>min|max|mean|median|percentile\((?P<percent>[\d.]+)%\)) = (?P<value>[\d.e+-]+) ms")
_PROFILED = "The e2e network timing is not reported"


class _Line(NamedTuple):
    time: str
    level: str
    text: str


@dataclass(frozen=True)
class TrtexecLog:
    """One run of trtexec that ended well.

    Attributes
    ----------
    version
        Of TensorRT, such as "8.2.1".
    command
        As it was typed.
    began, ended
        Times of the first and the last line, ISO 8601, by the machine's own clock: the log names
        no time zone.
    file
        The ONNX file that was built, or the engine that was loaded, as it was typed.
    is_engine
        Whether an engine was loaded, of which the log does not say how it was built.
    gpu, compute_capability
        As the driver names it, such as "Orin" and "8.7".
    shape
        Of the one input.
    compute
        GPU compute time.
    latency
        With the copies to the GPU and back; None where they were left out.
    throughput
        Calls a second.
    options
        What trtexec printed of itself, by section and name.
    executed_precision
        Of most convolutions, where the log shows it: by its list of layers or because it allowed no
        other. None where it does not.
    warnings
        That trtexec printed with its times.
    """

    version: str
    command: str
    began: str
    ended: str
    file: str
    is_engine: bool
    gpu: str
    compute_capability: str
    shape: tuple[int, ...]
    compute: Times
    latency: Times | None
    throughput: float
    options: dict[str, dict[str, str]]
    executed_precision: Precision | None
    warnings: tuple[str, ...]


def read_trtexec_log(path: Path) -> TrtexecLog:
    """Return what a log says.

    Parameters
    ----------
    path
        Everything that one run of trtexec wrote, to stdout and stderr.

    Raises
    ------
    InputError
        If it is no such log, not a whole one, one of several runs, or of a run that failed or
        timed nothing.
    """
    try:
        text = path.read_text(errors="replace")  # with every kind of line end as one
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a log of trtexec") from error
    began, ended = _ends(path, text)
    lines = [_Line(found["time"], found["level"], found["text"].rstrip()) for found in _LINE.finditer(text)]
    if ended["status"] == "FAILED":
        reason = next((line.text.removeprefix("[TRT] ") for line in lines if line.level in "EF"), "without a reason")
        raise InputError(f"trtexec failed in {path} ({reason.rstrip('.')}); remove the cause and run it again")
    options = _options(lines)
    shape = _shape(path, lines)
    compute = _required_times(path, lines, "GPU Compute Time")
    latency = _required_times(path, lines, "Latency")
    copied = _times(lines, "H2D Latency")
    device = options.get("Device Information", {})
    model, build = options.get("Model Options", {}), options.get("Build Options", {})
    loaded = build.get("Load engine") or _argument(began["command"], "loadEngine")
    file = loaded or model.get("Model", "")
    if not file or not {"Selected Device", "Compute Capability"} <= device.keys():
        raise InputError(f"{path} does not say what was run on which GPU; keep everything that trtexec prints")
    run = Run(
        compute_capability=device["Compute Capability"],
        is_engine=bool(loaded),
        allows_rounding="--noTF32" not in began["command"],
        on_dla=bool(options.get("System Options", {}).get("DLACore")),
        allowed=build.get("Precision", ""),
    )
    return TrtexecLog(
        version=device.get("TensorRT version") or _decoded(began["version"]),
        command=began["command"].strip(),
        began=_iso(lines[0].time),
        ended=_iso(lines[-1].time),
        file=file,
        is_engine=run.is_engine,
        gpu=device["Selected Device"],
        compute_capability=run.compute_capability,
        shape=shape,
        compute=compute,
        latency=latency if copied and copied["max"] > 0 else None,
        throughput=_throughput(path, lines),
        options=options,
        executed_precision=shown_precision(text, run),
        warnings=tuple(line.text[2:] for line in lines if line.level == "W" and line.text.startswith("* ")),
    )


def _ends(path: Path, text: str) -> tuple[re.Match[str], re.Match[str]]:
    """Return the lines between which a run lies."""
    found = list(_STATUS.finditer(text))
    if not found or found[0]["status"] != "RUNNING":
        raise InputError(
            f"{path} is no log of trtexec: no line says &&&& RUNNING TensorRT.trtexec; keep everything that trtexec "
            "prints"
        )
    if sum(match["status"] == "RUNNING" for match in found) > 1:
        raise InputError(f"{path} holds several runs of trtexec; keep each in a file of its own")
    if len(found) == 1:
        raise InputError(
            f"{path} ends before trtexec did: it says neither PASSED nor FAILED; keep the whole output, or run it again"
        )
    return found[0], found[-1]


def _options(lines: list[_Line]) -> dict[str, dict[str, str]]:
    """Return what was printed as `name: value`, by section; the first value of a name counts."""
    options: dict[str, dict[str, str]] = {}
    section = ""
    for line in lines:
        title = _TITLE.match(line.text)
        if title:
            section = title[1]
        elif section and ": " in f"{line.text} " and not line.text.startswith("[TRT]"):
            name, _, value = line.text.partition(":")
            options.setdefault(section, {}).setdefault(name.strip(), value.strip())
    return options


def _shape(path: Path, lines: list[_Line]) -> tuple[int, ...]:
    found = [match for line in lines if (match := _BINDING.match(line.text))]
    if len(found) != 1:
        raise InputError(
            f"{path} is of a network with {len(found)} inputs, and a patch is one; time a network of this project"
            if found
            else f"{path} does not say what was fed to the network; keep everything that trtexec prints"
        )
    return tuple(map(int, found[0]["shape"].split("x")))


def _required_times(path: Path, lines: list[_Line], name: str) -> Times:
    times = _times(lines, name)
    if times is not None:
        return times
    if any(line.text.startswith(_PROFILED) for line in lines):
        raise InputError(
            f"{path} has times of layers alone, because --dumpProfile was on; run trtexec again without it or with "
            "--separateProfileRun"
        )
    raise InputError(f"{path} has no {name}: nothing was timed; run trtexec without --buildOnly and --skipInference")


def _times(lines: list[_Line], name: str) -> Times | None:
    for line in lines:
        # Verbose logs explain each name after its times.
        if line.text.startswith(f"{name}: min = "):
            return {
                {"median": "p50"}.get(found["name"], f"p{found['percent']}" if found["percent"] else found["name"]): (
                    float(found["value"])
                )
                for found in _TIME.finditer(line.text)
            }
    return None


def _throughput(path: Path, lines: list[_Line]) -> float:
    for line in lines:
        found = re.match(r"Throughput: ([\d.e+-]+) qps", line.text)
        if found:
            return float(found[1])
    raise InputError(f"{path} has no throughput; keep everything that trtexec prints")


def _argument(command: str, name: str) -> str:
    found = re.search(rf"--{name}=(\S+)", command)
    return found[1] if found else ""


def _decoded(number: str) -> str:
    """Return a version that is written as one number: 8201 is 8.2.1, 101602 is 10.16.2."""
    if not number.isdigit():
        return number
    major, rest = divmod(int(number), 1000 if len(number) == 4 else 10000)
    return f"{major}.{rest // 100}.{rest % 100}"


def _iso(time: str) -> str:
    return datetime.strptime(time, "%m/%d/%Y-%H:%M:%S").isoformat()
