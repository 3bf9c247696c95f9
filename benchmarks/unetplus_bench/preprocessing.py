"""What preprocessing costs and how near it comes: beside scikit-image, for every size and bit depth.

`python -m unetplus_bench.preprocessing --out FILE` times `unetplus_edge.imaging.Preprocessor` and
scikit-image's `denoise_tv_chambolle` in turns on training images, takes the distances of both to the
converged solution, and scores a bundle on the validation images with the ways of preprocessing that
are there to choose.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cv2
import numpy as np
from rich.progress import track

from unetplus_bench.device import code_version, device_facts, warnings_about
from unetplus_edge.bundle import open_bundle
from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.evaluation import score_image, score_set
from unetplus_edge.imaging import PatchGrid, Preprocessing, Preprocessor, frame_range, label_nuclei, preprocess
from unetplus_edge.imaging.clahe import continued
from unetplus_edge.imaging.tv import denoise
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime import open_engine
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.datasets import Sample
    from unetplus_edge.imaging.tv import Scheme

SIDE = 256
SCHEMES: dict[str, Preprocessing] = {
    "chambolle 30": Preprocessing(),
    "primal_dual 12": Preprocessing(tv_scheme="primal_dual", tv_iterations=12),
}
ITERATIONS: dict[Scheme, tuple[int, ...]] = {
    "chambolle": (20, 25, 30, 35, 40, 45, 50),
    "primal_dual": (8, 9, 10, 11, 12, 13, 14, 16, 18, 20),
}
ROUNDS = {SIDE: 200, 1024: 12, 4096: 3}
"""Rounds by the side of the frame."""
STREAM_PIXELS = 1024**2
"""That a thread of a stream prepares in a row, at least a frame."""
ROUNDS_BESIDE = 25
CONVERGED = 1000
"""Iterations of scikit-image that stand for the converged solution."""


def at_depth(image: NDArray[np.uint8], bits: int | None, rng: np.random.Generator) -> NDArray[Any]:
    """Return an 8-bit image as a camera of another bit depth would have seen it.

    Parameters
    ----------
    image
        uint8, any shape.
    bits
        8, 12 or 16; None is float32 in [0, 1].
    rng
        Of what 8 bits did not see: equally likely anywhere inside a grey value.
    """
    if bits == 8:
        return image
    fine = image + 0.99 * rng.random(image.shape)  # no float32 may be rounded up to the next grey value
    return (fine / 256).astype(np.float32) if bits is None else (fine * 2 ** (bits - 8)).astype(np.uint16)


def mosaic(patches: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a frame of patches, shape (n, height, width), each used as often as it takes."""
    height, width = patches.shape[1:]
    rows, columns = -(-side // height), -(-side // width)
    chosen = patches[np.arange(rows * columns) % len(patches)].reshape(rows, columns, height, width)
    return np.ascontiguousarray(chosen.swapaxes(1, 2).reshape(rows * height, columns * width)[:side, :side])


def in_turns(variants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each variant, called once a round, after one call that is not kept."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in track(range(rounds + 1), description="rounds", transient=True):
        for name, call in variants.items():
            begin = time.perf_counter()
            call()
            if number:
                times[name].append(time.perf_counter() - begin)
    return times


def exact(frame: NDArray[np.uint16], constants: Preprocessing) -> NDArray[np.float32]:
    """Return `preprocess(frame)` with OpenCV's CLAHE of 65,536 bins in place of 256.

    A tile of 64 x 64 has fewer pixels than that, and OpenCV rounds the clip limit up to one pixel a
    bin: so many bins also limit contrast less than 256 do.
    """
    low, high = frame_range(frame)
    codes = np.rint(65_535 * np.clip((frame - low) / (high - low), 0, 1)).astype(np.uint16)
    tile = constants.clahe_tile
    rows, columns = (continued(length, tile) for length in codes.shape)
    clahe = cv2.createCLAHE(constants.clahe_clip, (len(columns) // tile, len(rows) // tile))
    equalised = clahe.apply(codes[np.ix_(rows, columns)])[: codes.shape[0], : codes.shape[1]]
    scaled = equalised.astype(np.float32) / np.float32(65_535)
    return denoise(scaled, constants.tv_weight, constants.tv_iterations, constants.tv_scheme)


def distances(images: NDArray[np.float32], weight: float) -> dict[str, Any]:
    """Return mean absolute differences to the converged solution, by way of denoising.

    Parameters
    ----------
    images
        float32 in [0, 1], equalised, shape (n, height, width).
    weight
        Strength of the denoising.
    """
    from skimage.restoration import denoise_tv_chambolle

    found: dict[str, list[float]] = {}
    for image in track(images, description="converged solutions", transient=True):
        solution = denoise_tv_chambolle(image.astype(np.float64), weight=weight, eps=0, max_num_iter=CONVERGED)
        ways = {"image as it is": image, "scikit-image": denoise_tv_chambolle(image.astype(np.float64), weight=weight)}
        for scheme, numbers in ITERATIONS.items():
            ways |= {f"{scheme} {number}": denoise(image, weight, number, scheme) for number in numbers}
        for name, denoised in ways.items():
            found.setdefault(name, []).append(float(np.abs(denoised - solution).mean()))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    as_near = {
        scheme: next((n for n in numbers if means[f"{scheme} {n}"] <= means["scikit-image"]), None)
        for scheme, numbers in ITERATIONS.items()
    }
    return {"weight": weight, "mean": means, "iterations_as_near_as_scikit_image": as_near}


def scores(
    bundle: Bundle, engine: Any, samples: Iterable[Sample], ways: dict[str, Callable[[NDArray[Any]], Any]]
) -> dict[str, dict[str, float]]:
    """Return the scores of a bundle for each way of preprocessing."""
    manifest = bundle.manifest
    found: dict[str, list[Any]] = {name: [] for name in ways}
    for sample in track(list(samples), description="validation images", transient=True):
        image, truth = sample.image(), sample.labels()
        grid = PatchGrid(image.shape[0], image.shape[1], manifest.recipe.patch_side)
        for name, way in ways.items():
            probability = grid.stitch(engine.infer(grid.cut(way(image))))
            found[name].append(score_image(truth, label_nuclei(probability, manifest.postprocessing)))
    sets = {name: score_set(images) for name, images in found.items()}
    return {
        name: {
            "average_iou": round(score.average_iou_mean or 0.0, 4),
            "kaggle_score": round(score.kaggle_score, 4),
            "ap50_mean": round(score.ap50_mean, 4),
        }
        for name, score in sets.items()
    }


def ways_to_score(constants: Preprocessing) -> dict[str, Callable[[NDArray[np.uint8]], NDArray[np.float32]]]:
    """Return what is scored: the bundle's own constants, the schemes, and 256 bins beside 65,536 for 16 bits."""

    def deep(image: NDArray[np.uint8]) -> NDArray[np.uint16]:
        return at_depth(image, 16, np.random.default_rng(0))

    schemes = {name: constants.model_copy(update=_scheme(choice)) for name, choice in SCHEMES.items()}
    return {
        "as trained": lambda image: preprocess(image, constants),
        **{name: partial(preprocess, constants=choice) for name, choice in schemes.items()},
        "as trained, 16 bits, 256 bins": lambda image: preprocess(deep(image), constants),
        "as trained, 16 bits, 65536 bins": lambda image: exact(deep(image), constants),
    }


def _scheme(choice: Preprocessing) -> dict[str, Any]:
    return choice.model_dump(include={"tv_scheme", "tv_iterations"})


def _variants(patches: NDArray[np.uint8], side: int, threads: Sequence[int]) -> dict[str, Callable[[], object]]:
    rng = np.random.default_rng(0)
    frame = mosaic(patches, side)
    deep = {f"{bits} bits" if bits else "float32": at_depth(frame, bits, rng) for bits in (8, 12, 16, None)}
    variants: dict[str, Callable[[], object]] = {}
    for (name, constants), count in product(SCHEMES.items(), threads):
        preprocessor = Preprocessor(frame.shape, constants, count)
        for depth, pixels in deep.items():
            variants[f"{name}, {depth}, {count} threads"] = partial(preprocessor, pixels)
    return variants


def streams_of(
    patches: NDArray[np.uint8], side: int, threads: Sequence[int]
) -> list[tuple[str, int, Callable[[], object]]]:
    """Return names, numbers of frames, and calls in which each thread prepares frames of its own, as in a stream.

    Small frames are several in a row: a thread of a stream that is busy need not be woken for each.
    """
    frame = mosaic(patches, side)
    in_a_row = max(STREAM_PIXELS // side**2, 1)
    streams: list[tuple[str, int, Callable[[], object]]] = []
    for (name, constants), count in product(SCHEMES.items(), (count for count in threads if count > 1)):
        pool = ThreadPoolExecutor(count)
        each = [Preprocessor(frame.shape, constants, 1) for _ in range(count)]
        title = f"{name}, 8 bits, {count} threads with a frame each"
        streams.append((title, count * in_a_row, partial(_on_each, pool, each, frame, in_a_row)))
    return streams


def _on_each(
    pool: ThreadPoolExecutor, preprocessors: Sequence[Preprocessor], frame: NDArray[np.uint8], in_a_row: int
) -> None:
    def work(preprocessor: Preprocessor) -> None:
        for _ in range(in_a_row):
            preprocessor(frame)

    for done in [pool.submit(work, preprocessor) for preprocessor in preprocessors]:
        done.result()


def _rivals(patches: NDArray[np.float32]) -> dict[str, Callable[[], object]]:
    from skimage.restoration import denoise_tv_chambolle

    single, double = patches[0], patches[0].astype(np.float64)
    clahe = cv2.createCLAHE(2.0, (SIDE // 64, SIDE // 64))
    eight, sixteen = (np.rint(single * top).astype(kind) for top, kind in ((255, np.uint8), (65_535, np.uint16)))
    return {
        "scikit-image, float64, weight 0.05": lambda: denoise_tv_chambolle(double, weight=0.05),
        "scikit-image, float32, weight 0.05": lambda: denoise_tv_chambolle(single, weight=0.05),
        "scikit-image, float64, weight 0.1": lambda: denoise_tv_chambolle(double),
        "OpenCV CLAHE alone, 8 bits": lambda: clahe.apply(eight),
        "OpenCV CLAHE alone, 16 bits": lambda: clahe.apply(sixteen),
    }


def _row(name: str, side: int, times: Sequence[float], frames: int = 1) -> dict[str, Any]:
    per_patch = np.array(times) * 1e3 * SIDE**2 / side**2 / frames
    low, middle, high = np.percentile(per_patch, [10, 50, 90])
    return {"name": name, "side": side, "rounds": len(times), "ms_per_patch": round(middle, 4)} | {
        "p10": round(low, 4),
        "p90": round(high, 4),
    }


@click.command(cls=Command)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Result file, JSON.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Model to score; the default one of the zoo.")
@click.option("--engine", default="openvino", show_default=True, help="What computes the scores, in float32.")
@click.option("--images", type=click.IntRange(1), help="Validation images to score; all of them.")
@click.option("--threads", type=click.IntRange(1), multiple=True, default=(1, 2), help="Threads; may be repeated.")
@click.pass_context
def main(
    context: click.Context, out: Path, bundle: Path | None, engine: Any, images: int | None, threads: tuple[int, ...]
) -> None:
    """Time preprocessing beside scikit-image, and show how near it comes and what it scores."""
    before, data = device_facts(), open_dsb2018()
    large = [image for sample in data.training if min((image := sample.image()).shape) >= SIDE]
    patches = np.stack([image[:SIDE, :SIDE] for image in large[:: max(len(large) // 16, 1)]][:16])
    plain = Preprocessing(tv_weight=0)
    equalised = np.stack([preprocess(patch, plain) for patch in patches])
    rows = []
    for side, rounds in ROUNDS.items():
        variants, streams = _variants(patches, side, threads), streams_of(patches, side, threads)
        frames = {name: count for name, count, _ in streams}
        timed = in_turns({**variants, **{name: call for name, _, call in streams}}, rounds)
        rows += [_row(name, side, times, frames.get(name, 1)) for name, times in timed.items()]
        if side == SIDE:
            fastest = {name: call for name, call in variants.items() if "8 bits" in name}
            beside = in_turns({**_rivals(equalised), **fastest}, ROUNDS_BESIDE)
            rivals = [_row(name, side, times) for name, times in beside.items()]
    opened = find_bundle(DEFAULT) if bundle is None else open_bundle(bundle)
    samples = data.validation[:: max(len(data.validation) // images, 1)][:images] if images else data.validation
    ways = ways_to_score(opened.manifest.recipe.preprocessing)
    with open_engine(opened, engine, threads=max(threads), execution="fp32") as network:
        scored = scores(opened, network, samples, ways)
    report = {
        "command": command_line(context),
        "commit": code_version(),
        "warnings": warnings_about(before, device_facts()),
        "patches": f"{len(patches)} training images, {SIDE} x {SIDE} from the top left; larger frames are mosaics",
        "rows": rows,
        "beside_scikit_image": rivals,
        "distances": [distances(equalised, weight) for weight in (0.05, 0.1)],
        "converged": f"scikit-image after {CONVERGED} iterations",
        "scores": {"bundle": opened.manifest.name, "engine": engine, "images": len(samples), "ways": scored},
        "device": before,
    }
    write_text(out, json.dumps(report, indent=1) + "\n")
    for row in (*rivals, *rows):
        click.echo(f"{row['side']:5d}  {row['ms_per_patch']:8.3f} ms  {row['name']}")


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.preprocessing")
