"""Made-up measurements: a machine that drifts, with calls that now and then take several times as long."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from unetplus_bench.results import AccuracyRecord, BenchmarkResult, NetworkRecord, Row

NETWORK = NetworkRecord(name="unet_plus_tc_b8", base_filters=8, weights=484_281, macs=1_230_000_000)

# name: engine, stored and executed precision, ms, Kaggle score, bytes
ROWS = {
    "keras fp32": ("keras", "fp32", "fp32", 21.0, 0.5683, 2_310_000),
    "litert fp32": ("litert", "fp32", "fp32", 22.0, 0.5683, 1_960_000),
    "litert int8": ("litert", "int8", "int8", 7.1, 0.5671, 580_000),
    "onnxruntime fp32": ("onnxruntime", "fp32", "fp32", 12.0, 0.5683, 1_950_000),
    "openvino fp32": ("openvino", "fp32", "fp32", 9.8, 0.5683, 2_020_000),
    "openvino bf16": ("openvino", "fp16", "bf16", 5.8, 0.5679, 1_050_000),
    "openvino int8": ("openvino", "int8", "int8", 3.4, 0.5652, 730_000),
}

CALLS = 12


def a_machine(random, rounds, drift):
    """Return a factor for each round, common to all rows: a level, slow ups and downs, and a little at random."""
    phase, length = random.uniform(0, 6), random.uniform(1, 6)
    level = drift * random.normal()
    waves = drift / 2 * np.sin(phase + length * np.arange(rounds) / rounds)
    return np.exp(level + waves + drift / 8 * random.normal(size=rounds))


def calls_of_a_round(random, seconds, noise):
    """Return times with a common factor, another program in every twentieth round, and a heavy tail."""
    factor = math.exp(noise * random.standard_t(3) / math.sqrt(3))
    if random.random() < 0.05:
        factor *= random.uniform(1.2, 1.6)
    tail = np.where(random.random(CALLS) < 0.04, 1 + random.pareto(1.5, CALLS), 1.0)
    return tuple((seconds * factor * tail * np.exp(0.03 * np.abs(random.normal(size=CALLS)))).tolist())


@pytest.fixture(scope="session")
def made_up():
    """Makes the result of a seed; rows by name may be slower by a factor, or have other facts."""

    def make(seed, slower=None, *, rounds=12, drift=0.2, noise=0.02, rows=None, only=tuple(ROWS), **fields):
        random = np.random.default_rng(seed)
        common = a_machine(random, rounds, drift)
        made = []
        for name in only:
            engine, stored, executed, ms, kaggle, size = ROWS[name]
            seconds = ms / 1e3 * (slower or {}).get(name, 1.0)
            facts: dict[str, Any] = {
                "name": name,
                "scope": "net",
                "network": NETWORK,
                "engine": engine,
                "library": f"{engine} 1.0",
                "stored_precision": stored,
                "executed_precision": executed,
                "verified": True,
                "threads": 2,
                "rounds": tuple(calls_of_a_round(random, seconds * factor, noise) for factor in common),
                "file_bytes": size,
                "file_sha256": "0" * 64,
                "peak_memory": 300_000_000,
                "load_seconds": 0.2,
                "first_seconds": 2 * ms / 1e3,
                "accuracy": (
                    AccuracyRecord(images="validation_images", average_iou=kaggle + 0.15, kaggle_score=kaggle),
                ),
            }
            made.append(Row(**(facts | (rows or {}).get(name, {}))))
        told: dict[str, Any] = {
            "command": "unetplus-bench run",
            "began": "2026-01-02T03:04:05Z",
            "ended": "2026-01-02T03:06:05Z",
            "device": {
                "system": {"kernel": "6.1"},
                "cpu": {"model": "Made-up CPU", "cores": {"usable": 2}, "clock_mhz": [2000.0 + seed]},
                "libraries": {"numpy": "2.4.6"},
            },
            "reference": "keras fp32",
            "rows": tuple(made),
        }
        return BenchmarkResult(**(told | fields))

    return make
