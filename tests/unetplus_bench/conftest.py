"""A tiny real network and its bundle, and made-up measurements."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from unetplus_bench.measuring.material import Material
from unetplus_bench.results import AccuracyRecord, BenchmarkResult, NetworkRecord, Row
from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import Bundle, add_conversion, create_bundle, update_manifest
from unetplus_edge.files import sha256_of
from unetplus_edge.imaging import Preprocessing
from unetplus_edge.manifest import (
    ConversionRecord,
    Manifest,
    ParityRecord,
    ScoreRecord,
    TensorRecord,
    VerificationRecord,
)
from unetplus_edge.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 64
ARCHITECTURE = UNetPlus(base_filters=2, depth=3)
KERAS_SCORES = {"average_iou_mean": 0.8, "kaggle_score": 0.7}
DROP = {"average_iou": 0.01, "kaggle_score": 0.02, "dice": 0.0}

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class ConversionMaker(Protocol):
    def __call__(self, bundle: Bundle, file: Path, target: str, stored: str, *tried: VerificationRecord) -> Bundle: ...


def a_manifest(keras_file: Path) -> Manifest:
    return Manifest(
        name="tiny",
        recipe=Recipe(architecture=ARCHITECTURE, patch_side=SIDE, preprocessing=Preprocessing(tv_iterations=5)),
        input=TensorRecord(name="image", shape=(None, SIDE, SIDE, 1)),
        output=TensorRecord(name="probability", shape=(None, SIDE, SIDE, 1)),
        keras_sha256=sha256_of(keras_file),
        epochs_trained=0,
        best_epoch=0,
        scores=(ScoreRecord(images="validation_images", engine="keras", precision="fp32", scores=KERAS_SCORES),),
    )


def tried(engine: Any, executed: Any, *, verified: bool = True, **facts: Any) -> VerificationRecord:
    parity = ParityRecord(patches=2, max_difference=0.3, mean_difference=0.2, flipped_per_million=9.0)
    reason = None if verified else "mean difference 0.2 is above 0.0001"
    return VerificationRecord(
        **{
            "engine": engine,
            "executed_precision": executed,
            "verified": verified,
            "reason": reason,
            "parity": parity,
            "score_drop": DROP,
            **facts,
        }
    )


def with_conversion(
    bundle: Bundle, file: Path, target: Any, stored: Any, *verifications: VerificationRecord, **facts: Any
) -> Bundle:
    record = ConversionRecord(
        file=f"exports/{file.name}",
        sha256=sha256_of(file),
        target=target,
        stored_precision=stored,
        verifications=verifications,
        **facts,
    )
    return add_conversion(bundle, file, record)


@pytest.fixture(name="tried")
def _tried() -> Any:
    """Makes the record of an engine's try at a conversion."""
    return tried


@pytest.fixture(name="with_conversion")
def _with_conversion() -> Any:
    """Adds a file to a bundle."""
    return with_conversion


@pytest.fixture
def paper_bundle(tmp_path: Path) -> Bundle:
    """A bundle whose files are none: for tests that open no engine."""
    keras_file = tmp_path / "no.keras"
    keras_file.write_bytes(b"nothing")
    return create_bundle(tmp_path / "paper", keras_file, a_manifest(keras_file))


@pytest.fixture
def paper(tmp_path: Path) -> Any:
    """Makes files that are no networks, each of another content."""

    def make(name: str) -> Path:
        file = tmp_path / name
        file.write_text(name)
        return file

    return make


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny network, untrained, with a conversion for LiteRT that really runs."""
    import keras

    from unetplus_edge.networks import build_network
    from unetplus_export.conversion import Request
    from unetplus_export.tflite import convert_tflite

    folder = tmp_path_factory.mktemp("tiny")
    keras.utils.set_random_seed(1)
    build_network(ARCHITECTURE, (SIDE, SIDE)).save(folder / "tiny.keras")
    made = create_bundle(folder / "bundle", folder / "tiny.keras", a_manifest(folder / "tiny.keras"))
    convert_tflite(Request(made, "fp32", SIDE), folder / "tiny.tflite")
    return with_conversion(made, folder / "tiny.tflite", "tflite", "fp32", tried("litert", "fp32"))


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """Patches and frames in a folder of the test."""
    folder = tmp_path / "material"
    folder.mkdir()
    return Material(folder)


@pytest.fixture
def with_manifest() -> Any:
    """Changes fields of a bundle's manifest."""

    def change(bundle: Bundle, **changes: Any) -> Bundle:
        return update_manifest(bundle, bundle.manifest.model_copy(update=changes))

    return change


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
    """Makes the result of a seed, of a machine that drifts; rows by name may be slower by a factor, or differ else."""

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
