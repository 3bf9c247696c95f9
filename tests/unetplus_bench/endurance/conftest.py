"""A made-up checkout, with a runtime and a result of its daemon."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from unetplus_bench.endurance import page, result

if TYPE_CHECKING:
    from pathlib import Path


class MakeCheckout(Protocol):
    def __call__(self, **of_kill: Any) -> Path: ...


@pytest.fixture
def checkout(tmp_path: Path) -> MakeCheckout:
    """Makes the checkout; returns its `benchmarks/results`. Fields of the part "kill" may be others."""

    def make(**of_kill: Any) -> Path:
        code = tmp_path / "runtime" / "unetplus_runtime" / "a.py"
        code.parent.mkdir(parents=True, exist_ok=True)
        code.write_text("x = 1\n")
        common = {
            "seed": 1,
            "side": 64,
            "model": "tiny",
            "engine": "litert",
            "threads": None,
            "started": "2026-01-02T03:04:05+00:00",
            "commit": "0123456789ab",
            "runtime": result.runtime_hash(code.parent),
        }
        claims = {
            "nothing | is lost": {"times": 1200, "failures": 0},
            "no process is left": {"times": 50, "failures": 2, "examples": ["7"]},
        }
        kill = {
            "what": "`kill -9` of the daemon",
            "count": 50,
            "seconds": 90.0,
            "claims": claims,
            "figures": {"frames announced": 1500, "killed while starting": 9},
        }
        soak = {
            "what": "second",
            "count": 1200,
            "seconds": 1300.0,
            "claims": {"held": {"times": 3, "failures": 0}},
            "figures": {
                "latency, seconds": {"count": 4000, "least": 0.1, "p50": 0.25, "p99": 0.5, "most": 0.75},
                "dropped": {"newest_only": 3},
            },
        }
        content = {
            "schema_version": 1,
            "short": False,
            "command": "python -m unetplus_bench.endurance --out here.json",
            "device": {"cpu": {"model": "Made-up CPU", "cores": {"usable": 2}}},
            "parts": {"kill": {**common, **kill, **of_kill}, "soak": {**common, **soak}},
        }
        results = tmp_path / "benchmarks" / "results"
        (results / page.FILE).parent.mkdir(parents=True, exist_ok=True)
        (results / page.FILE).write_text(json.dumps(content))
        return results

    return make
