"""What a daemon does, in words for a person."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from unetplus_edge.commands import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from unetplus_runtime.records import Committed, Totals

_SHOWN = 5  # troubles
_HASH = 12  # characters of it


def sentences(known: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines that say what is known of a daemon that runs.

    Parameters
    ----------
    known
        As `DaemonSnapshot.as_json` returns it.
    """
    mark = "SIMULATED " if known["simulated"] else ""
    why = f": {printable(known['reason'])}" if known["reason"] else ""
    yield f"{mark}{known['phase']}{why}, for {_span(known['uptime'])}, process {known['pid']}, {known['data_dir']}"
    yield from _camera(known)
    last = known["last"]
    if last is not None:
        yield (
            f"last frame  {mark}{last['nuclei']} nuclei, record {last['id']}, captured {_when(last['captured'])}, "
            f"on disk after {_ms(last['latency'])}"
        )
        for name in ("latency", "segmenting"):
            times = known[name]
            yield (
                f"{name:<11} median {_ms(times['p50'])}, 99 of 100 within {_ms(times['p99'])}, longest "
                f"{_ms(times['longest'])}, of {times['count']} frames"
            )
    model = known["model"]
    if model is not None:
        swaps = f", swapped {known['model_swaps']} times" if known["model_swaps"] else ""
        yield (
            f"model       {printable(model['name'])}, {model['engine']} {model['precision']} on {model['device']}, "
            f"grid {model['grid']}, {model['hash'][:_HASH]}{swaps}"
        )
    yield from _disk(known)
    yield from _settings(known["configuration"])
    for trouble in known["troubles"][-_SHOWN:]:
        yield f"trouble     {_when(trouble['wall'])} {trouble['kind']}: {printable(trouble['what'])}"


def last_record(last: Committed, totals: Totals) -> Iterator[str]:
    """Yield lines that say what the last record of a folder is, where no daemon runs."""
    record = last.record
    mark = "SIMULATED " if record.simulated else ""
    yield (
        f"last record {mark}{record.nuclei} nuclei, record {last.id}, captured {_when(record.captured)}, "
        f"{printable(record.source)}"
    )
    yield _totals("all runs", totals.captured, totals.processed, totals.dropped, totals.in_flight)


def _camera(known: Mapping[str, Any]) -> Iterator[str]:
    camera = known["camera"]
    if camera is None:
        return
    now, facts, totals = camera["now"], camera["facts"], camera["totals"]
    why = f": {printable(now['reason'])}" if now["reason"] else ""
    source = f"{printable(facts['source'])}, " if facts else ""
    restarts = f", restarted {camera['restarts']} times" if camera["restarts"] else ""
    yield f"camera      {source}{now['state']} since {_when(now['wall'])}{why}{restarts}"
    line = _totals("frames", totals["captured"], totals["processed"], totals["dropped"], totals["in_flight"])
    wrong = "" if known["balanced"] else "; THESE COUNTS DO NOT ADD UP"
    yield f"{line}; {known['rate']:.3g} of {known['capture_rate']:.3g} a second{wrong}"


def _totals(name: str, captured: int, processed: int, dropped: Mapping[str, int], in_flight: int) -> str:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
    lost = f"{sum(dropped.values()):,} dropped" + (f" ({reasons})" if reasons else "")
    return f"{name:<11} {captured:,} captured = {processed:,} processed + {lost} + {in_flight:,} in flight"


def _disk(known: Mapping[str, Any]) -> Iterator[str]:
    recording = known["recording"]
    if recording is None:
        return
    free = f"{recording['free_bytes'] / 2**30:,.1f} GiB free"
    commits = known["commits"]
    if commits is not None and commits["groups"]:
        free += f", groups of frames on disk after {_ms(commits['longest'])} at most, {commits['late']:,} of them late"
    if recording["active"]:
        yield f"disk        recording, {free}"
    else:
        what = "FRAMES ARE HELD BACK" if recording["held"] else "RECORDING HAS STOPPED"
        yield f"disk        {what} since {_when(recording['since'])}, {free}: {printable(recording['reason'])}"


def _settings(configuration: Mapping[str, Any]) -> Iterator[str]:
    file = configuration["file"]
    where = printable(file) if file else "no file" + (", nothing set" if configuration["simulated_by_default"] else "")
    yield f"settings    {where}, {configuration['hash'][:_HASH]}"
    if configuration["needs_restart"]:
        yield f"settings    need a restart: {', '.join(configuration['needs_restart'])}"
    if configuration["error"]:
        yield f"settings    were refused: {printable(configuration['error'])}"


def _when(wall: float) -> str:
    return datetime.fromtimestamp(wall, timezone.utc).isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
