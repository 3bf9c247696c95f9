"""Our times beside those of the libraries' own benchmark tools: the same file, threads and batch, in the same run.

`python -m unetplus_bench.agreement BUNDLE --out FILE` lets OpenVINO int8 and LiteRT rows of a bundle
take turns with OpenVINO's `benchmark_app` and with `litert-benchmark`, which time the same files one
patch a call, one call after the other. A row and its tool agree if their medians differ by no more
than 15 %.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from unetplus_bench.device import code_version, device_facts, warnings_about
from unetplus_bench.measuring.files import timed_files
from unetplus_bench.measuring.material import Material
from unetplus_bench.measuring.rounds import Schedule, measure_rounds, steps
from unetplus_bench.measuring.subjects import NetworkSubject
from unetplus_bench.measuring.worker import Timed
from unetplus_edge.commands import Command, command_line, printable
from unetplus_edge.errors import EngineError
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime.engines.base import thread_count
from unetplus_runtime.progress import progress_bar
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_bench.measuring.files import TimedFile
    from unetplus_bench.measuring.rounds import Measured
    from unetplus_edge.bundle import Bundle

LIMIT = 0.15
"""By how much of the tool's time ours may differ."""

_TIMEOUT = 600.0
# As the runtime opens OpenVINO: its makers are told nothing.
_OPENVINO = (
    "import sys; sys.modules['openvino_telemetry'] = None; "
    "from openvino.tools.benchmark.main import main; sys.exit(main())"
)


@dataclass(frozen=True)
class BenchmarkAppSubject:
    """A run of OpenVINO's `benchmark_app`; its median is the stage "tool", in seconds.

    Parameters
    ----------
    file
        An `.xml` or `.onnx` network.
    side
        Of a patch in pixels.
    threads
        Of the CPU.
    seconds
        Of measuring.
    """

    file: Path
    side: int
    threads: int
    seconds: float

    @contextmanager
    def open(self) -> Iterator[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`."""
        if find_spec("openvino") is None:
            raise EngineError("openvino is not installed; run: pip install 'unetplus-edge[openvino]'")
        yield Timed(self._run, {"library": f"benchmark_app of openvino {version('openvino')}"})

    def _run(self) -> dict[str, float]:
        with TemporaryDirectory(prefix="unetplus-agreement-") as folder:
            words = (
                *("-m", self.file, "-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", 1),
                *("-nthreads", self.threads, "-pin", "YES", "-infer_precision", "f32"),
                *("-shape", f"[1,{self.side},{self.side},1]", "-t", max(1, round(self.seconds))),
                *("-report_type", "no_counters", "-json_stats", "-report_folder", folder),
            )
            run_tool("benchmark_app", "-c", _OPENVINO, *words)
            report = json.loads((Path(folder) / "benchmark_report.json").read_text())
        return {"tool": float(report["execution_results"]["latency (ms)"]) * 1e-3}


@dataclass(frozen=True)
class LiteRTBenchmarkSubject:
    """A run of `litert-benchmark`; its median is the stage "tool", in seconds.

    Parameters
    ----------
    file
        A `.tflite` network.
    threads
        Of the interpreter.
    calls
        That are measured.
    """

    file: Path
    threads: int
    calls: int

    @contextmanager
    def open(self) -> Iterator[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`."""
        if find_spec("ai_edge_litert") is None or find_spec("ai_edge_litert.tools") is None:
            raise EngineError("ai-edge-litert with its tools is not installed; run: pip install 'ai-edge-litert>=2.1'")
        yield Timed(self._run, {"library": f"litert-benchmark of ai-edge-litert {version('ai-edge-litert')}"})

    def _run(self) -> dict[str, float]:
        with TemporaryDirectory(prefix="unetplus-agreement-") as folder:
            report = Path(folder) / "report.json"
            words = ("--model", self.file, "--num_threads", self.threads, "--num_runs", self.calls)
            run_tool("litert-benchmark", "-m", _LITERT, *words, "--result_json", report)
            return {"tool": float(json.loads(report.read_text())["latency"]["median_ms"]) * 1e-3}


_LITERT = "ai_edge_litert.tools.benchmark_litert_model"


@dataclass(frozen=True)
class Agreement:
    """A row of ours and a tool on the same file.

    Attributes
    ----------
    row, library
        What of ours was timed, and by what.
    tool
        The tool with its version.
    file, sha256
        The file in its bundle.
    threads
        Of both.
    ms, tool_ms
        Medians a patch, of each round.
    ratio
        Median over the rounds of ours over the tool's.
    agrees
        Whether it is within `LIMIT` of 1.
    error
        Why there is no ratio, in one sentence.
    """

    row: str
    file: str
    sha256: str
    threads: int
    library: str | None = None
    tool: str | None = None
    ms: tuple[float, ...] = ()
    tool_ms: tuple[float, ...] = ()
    ratio: float | None = None
    agrees: bool | None = None
    error: str | None = None


def run_tool(name: str, *words: object) -> None:
    """Run a tool in a Python of its own.

    Raises
    ------
    EngineError
        If it fails, or takes longer than ten minutes.
    """
    command = [sys.executable, *map(str, words)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise EngineError(f"{name} did not end within {_TIMEOUT:.0f} s; name a shorter time") from None
    except subprocess.CalledProcessError as error:
        lines = f"{error.stdout}\n{error.stderr}".strip().splitlines()
        raise EngineError(f"{name} failed ({lines[-1].strip() if lines else 'without a word'})") from error


def compared(bundle: Bundle, row: str, file: TimedFile, threads: int, ours: Measured, tool: Measured) -> Agreement:
    """Return a row and its tool side by side.

    Parameters
    ----------
    bundle, row, file, threads
        What was timed.
    ours, tool
        What `measure_rounds` gave for both; the tool's times are its stage "tool".
    """
    assert file.path is not None  # noqa: S101
    facts = Agreement(row, file.path.relative_to(bundle.path).as_posix(), str(file.sha256), threads)
    error = ours.error or (tool.error and f"the tool: {tool.error}")
    if error:
        return Agreement(**{**asdict(facts), "error": error})
    ms = [float(np.median(times)) * 1e3 for times in ours.rounds]
    runs = iter(tool.stages["tool"])
    # As many runs of a tool as filled the time of a turn.
    tool_ms = [float(np.median([next(runs) for _ in turn])) * 1e3 for turn in tool.rounds]
    ratio = float(np.median([one / other for one, other in zip(ms, tool_ms, strict=True)]))
    return Agreement(
        **{
            **asdict(facts),
            "library": ours.facts["library"],
            "tool": tool.facts["library"],
            "ms": tuple(ms),
            "tool_ms": tuple(tool_ms),
            "ratio": ratio,
            "agrees": abs(ratio - 1) <= LIMIT,
        }
    )


def _subjects(bundle: Bundle, file: TimedFile, threads: int, seconds: float, material: Material) -> tuple[Any, Any]:
    recipe = bundle.manifest.recipe
    assert file.path is not None  # noqa: S101
    patches = material.simulated_patches(recipe, 1)
    ours = NetworkSubject(bundle.path, file.path, file.engine, None, threads, None, 1, patches)
    if file.engine == "openvino":
        return ours, BenchmarkAppSubject(file.path, recipe.patch_side, threads, seconds)
    return ours, LiteRTBenchmarkSubject(file.path, threads, max(20, round(seconds * 50)))


def _has_tool(file: TimedFile) -> bool:
    if file.path is None or file.error is not None:
        return False
    return file.engine == "litert" or (file.stored == "int8" and file.path.suffix == ".xml")


@click.command(cls=Command)
@click.argument("bundle", default=DEFAULT)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Result file, JSON.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Turns of every row.")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Length of a turn.")
@click.option("--threads", type=click.IntRange(min=1), help="Of both.  [default: every core]")
@click.pass_context
def main(context: click.Context, bundle: str, out: Path, rounds: int, seconds: float, threads: int | None) -> None:
    """Time BUNDLE's OpenVINO int8 and LiteRT files, in turns with the libraries' own tools."""
    opened = find_bundle(bundle)
    count = thread_count(threads)
    files = [file for file in timed_files(opened, ("openvino", "litert"), None) if _has_tool(file)]
    if not files:
        raise EngineError(f"{opened.path} has no such files; run: unetplus-export {opened.path} --precision int8")
    before = device_facts()
    schedule = Schedule(rounds=rounds, seconds=seconds, warm_up=0.5)
    with TemporaryDirectory(prefix="unetplus-bench-") as folder:
        material = Material(Path(folder))
        pairs = [_subjects(opened, file, count, seconds, material) for file in files]
        with progress_bar("measuring", 2 * len(pairs) * steps(schedule)) as done:
            measured = measure_rounds([subject for pair in pairs for subject in pair], schedule, done)
    found = [
        compared(opened, f"{opened.manifest.name} {file.title}", file, count, ours, tool)
        for file, ours, tool in zip(files, measured[::2], measured[1::2], strict=True)
    ]
    report = {
        "command": command_line(context),
        "commit": code_version(),
        "device": before,
        "warnings": warnings_about(before, device_facts()),
        "limit": LIMIT,
        "rows": [asdict(one) for one in found],
    }
    write_text(out, json.dumps(report, indent=1) + "\n")
    for one in found:
        click.echo(printable(_sentence(one)))
    if all(one.error for one in found):
        raise EngineError("no tool could be compared with")


def _sentence(one: Agreement) -> str:
    if one.ratio is None:
        return f"{one.row}: not compared: {one.error}"
    verdict = "agrees" if one.agrees else f"DIFFERS by more than {LIMIT:.0%}"
    return (
        f"{one.row}: {np.median(one.ms):.2f} ms a patch, {one.tool} {np.median(one.tool_ms):.2f}, "
        f"ratio {one.ratio:.3f}: {verdict}"
    )


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.agreement")
