from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result

from unetplus_edge.errors import PartialResultError
from unetplus_runtime import Segmenter
from unetplus_runtime.command import main

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle


@pytest.fixture
def images(tmp_path: Path, frame: NDArray[np.uint16]) -> Path:
    """A 16-bit TIFF of three pages and an 8-bit PNG."""
    folder = tmp_path / "images"
    folder.mkdir()
    stack = np.stack([frame, frame[::-1], frame[:, ::-1]])
    tifffile.imwrite(folder / "stack.tif", stack, photometric="minisblack")
    (folder / "single.png").write_bytes(cv2.imencode(".png", (frame // 16).astype(np.uint8))[1].tobytes())
    return folder


def segment(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["segment", *map(str, arguments)])


def test_three_pages_of_16_bits_give_three_results(
    bundle: Bundle, images: Path, tmp_path: Path, frame: NDArray[np.uint16]
) -> None:
    result = segment(images / "stack.tif", "--out", tmp_path / "out", "--bundle", bundle.path)
    assert result.exit_code == 0, result.output
    assert "nuclei in 3 frames (litert fp32" in result.stdout
    with Segmenter(bundle) as segmenter:
        for number, page in enumerate([frame, frame[::-1], frame[:, ::-1]], start=1):
            labels = tifffile.imread(tmp_path / "out" / f"stack_page{number}_labels.tif")
            np.testing.assert_array_equal(labels, segmenter.segment(np.ascontiguousarray(page)).labels)


def test_json_says_what_was_done(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = segment(images, "--out", out, "--bundle", bundle.path, "--pixel-size", "0.5", "--threads", "1", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [row["id"] for row in report["frames"]] == ["single", "stack_page1", "stack_page2", "stack_page3"]
    assert report["refused"] == []
    assert (report["engine"]["engine"], report["engine"]["threads"]) == ("litert", 1)
    assert "area_um2" in (out / "single_nuclei.csv").read_text().splitlines()[0]


def test_the_engine_is_the_one_that_was_asked_for(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    arguments = [images / "single.png", "--bundle", bundle.path, "--json"]
    for engine in ("litert", "keras"):
        result = segment(*arguments, "--out", tmp_path / engine, "--engine", engine)
        assert json.loads(result.stdout)["engine"]["engine"] == engine


def test_a_broken_file_in_the_middle_is_listed_at_the_end(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    (images / "sound.png").write_bytes((images / "single.png").read_bytes())
    broken = images / "some.png"
    broken.write_bytes((images / "single.png").read_bytes()[:1000])
    result = segment(images, "--out", tmp_path / "out", "--bundle", bundle.path)
    assert result.exit_code == PartialResultError.exit_code
    *_, refusal, error = result.stderr.splitlines()
    assert refusal == f"refused: {broken} is cut off after 1000 bytes; copy or save the image again"
    assert error.startswith("error: 1 of 6 images were refused")
    assert (tmp_path / "out" / "single_labels.tif").exists()
    assert (tmp_path / "out" / "sound_labels.tif").exists()
    assert len((tmp_path / "out" / "summary.csv").read_text().splitlines()) == 6


def test_an_image_that_was_repaired_is_done_alone(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    sound = (images / "single.png").read_bytes()
    (images / "single.png").write_bytes(sound[:1000])
    arguments = (images, "--out", tmp_path / "out", "--bundle", bundle.path, "--json")
    result = segment(*arguments)
    assert (result.exit_code, json.loads(result.stdout)["kept"]) == (17, 0)
    assert "1 of 4 images were refused" in result.stderr
    assert "and the same command tries those again" in result.stderr
    (images / "single.png").write_bytes(sound)
    result = segment(*arguments)
    assert (result.exit_code, json.loads(result.stdout)["kept"]) == (0, 3)
    assert json.loads(result.stdout)["frames"][0]["id"] == "single"


def test_images_that_are_all_refused_are_said_so(bundle: Bundle, tmp_path: Path) -> None:
    for name, sentence in (("a.png", "the image was refused"), ("b.png", "all 2 images were refused")):
        (tmp_path / name).write_bytes(b"none")
        result = segment(tmp_path, "--out", tmp_path / "out", "--bundle", bundle.path)
        assert (result.exit_code, result.stdout) == (17, "")
        assert f"error: {sentence}, as listed above" in result.stderr


def test_a_channel_of_a_hyperstack_is_segmented(bundle: Bundle, tmp_path: Path, frame: NDArray[np.uint16]) -> None:
    stack = np.stack([np.zeros_like(frame), frame])
    metadata = {"axes": "CYX", "Channel": {"Name": ["GFP", "DAPI"]}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata=metadata)
    arguments = (tmp_path / "*.ome.tif", "--bundle", bundle.path, "--json")
    result = segment(*arguments, "--out", tmp_path / "out", "--channel", "DAPI")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["frames"]
    assert (row["id"], row["page"], row["pixel_size"], row["pixel_size_from"]) == ("a.ome", 2, 0.5, "OME-XML")
    with Segmenter(bundle) as segmenter:
        labels = segmenter.segment(frame).labels
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "a.ome_labels.tif"), labels)
    result = segment(*arguments, "--out", tmp_path / "told", "--channel", "2", "--pixel-size", "0.25")
    (row,) = json.loads(result.stdout)["frames"]
    assert (row["pixel_size"], row["pixel_size_from"]) == (0.25, "--pixel-size")
    assert "holds 2 channels: 1 (GFP), 2 (DAPI)" in segment(*arguments, "--out", tmp_path / "none").stderr


def test_results_that_exist_are_kept_before_any_work(images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "single_labels.tif").write_text("precious")
    result = segment(images, "--out", tmp_path / "out", "--bundle", "no-bundle-is-looked-for-yet")
    assert result.exit_code == 15
    assert "single_labels.tif exists already; replace with --overwrite" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["single_labels.tif"]


def test_results_are_replaced_with_overwrite(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "single_labels.tif").write_text("old")
    result = segment(images / "single.png", "--out", tmp_path / "out", "--bundle", bundle.path, "--overwrite")
    assert result.exit_code == 0, result.output
    assert tifffile.imread(tmp_path / "out" / "single_labels.tif").ndim == 2


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere.png", "--out", "out"], 11, "error: nowhere.png does not exist"),
        (["{image}", "--out", "out", "--bundle", "nothing"], 13, "error: nothing is neither a folder nor"),
        (["{image}", "--out", "{image}"], 2, "is a file"),
        (["{image}"], 2, "Missing option '--out'"),
        (["--out", "out"], 2, "Missing argument"),
        (["{image}", "--out", "out", "--pixel-size", "0"], 2, "--pixel-size"),
        (["{image}", "--out", "out", "--pixel-size", "inf"], 2, "inf is no length"),
        (["", "--out", "out"], 2, "the path is empty"),
        (["{image}", "--out", ""], 2, "the path is empty"),
        (["{image}", "--out", "out", "--engine", "abacus"], 2, "abacus"),
    ],
)
def test_errors_are_told_with_their_exit_code(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = segment(*(argument.format(image=images / "single.png") for argument in arguments))
    assert result.exit_code == code
    assert sentence in result.stderr
    assert not (tmp_path / "out").exists()


def test_series_of_a_slide_without_the_channel_are_passed_over_aloud(
    bundle: Bundle, tmp_path: Path, frame: NDArray[np.uint16]
) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(frame, photometric="minisblack", metadata={"axes": "YX", "Channel": {"Name": ["DAPI"]}})
        file.write(np.zeros((9, 8, 3), np.uint8), photometric="rgb", metadata={"axes": "YXS"})
    phrase = f"series 2 of {tmp_path / 'a.ome.tif'}, without a channel DAPI"
    arguments = (tmp_path / "a.ome.tif", "--bundle", bundle.path, "--channel", "DAPI")
    result = segment(*arguments, "--out", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (0, f"passed over {phrase}\n")
    assert (tmp_path / "out" / "a.ome_s1_labels.tif").exists()
    report = json.loads(segment(*arguments, "--out", tmp_path / "told", "--json").stdout)
    assert report["passed_over"] == [phrase]


def test_an_engine_that_was_not_verified_is_refused_or_passed_over_aloud(
    make_bundle: Any, keras_file: Path, tflite_file: Path, images: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(keras_file, tflite_file, verified=False)
    result = segment(images, "--out", tmp_path / "out", "--bundle", bundle.path, "--engine", "litert")
    assert result.exit_code == 14
    assert "run: unetplus-export verify" in result.stderr
    result = segment(images, "--out", tmp_path / "out", "--bundle", bundle.path)
    assert result.exit_code == 0
    assert "passed over litert: exports/tiny.tflite is not verified" in result.stderr
    assert "(keras fp32" in result.stdout


def test_quiet_prints_nothing(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    result = segment(images / "single.png", "--out", tmp_path / "out", "--bundle", bundle.path, "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_help_has_an_example() -> None:
    assert "unetplus-runtime segment images/ --out results/" in segment("--help").stdout


def installed(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("unetplus-runtime")), *map(str, arguments)]


def test_the_installed_command_segments_without_a_framework(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    # Blocked, they cannot be imported without an error.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['tensorflow'] = sys.modules['keras'] = None\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        installed("segment", images, "--out", tmp_path / "out", "--bundle", bundle.path),
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert "nuclei in 4 frames" in done.stdout
    assert "segmenting" not in done.stderr


def test_on_a_terminal_a_bar_is_shown(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    reader, terminal = pty.openpty()
    with os.fdopen(reader, "rb", buffering=0) as screen:
        with os.fdopen(terminal, "wb") as stderr:
            subprocess.run(
                installed("segment", images, "--out", tmp_path / "out", "--bundle", bundle.path),
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=os.environ | {"TERM": "xterm"},
            )
        assert b"segmenting" in screen.read(100_000)


def test_the_formats_that_were_asked_for_are_written(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    arguments = (images / "single.png", "--out", tmp_path / "out", "--bundle", bundle.path)
    result = segment(*arguments, "--formats", "ome-tiff, parquet,rois,geojson,ome-zarr")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "single_labels.ome.tif",
        "single_labels.ome.zarr",
        "single_nuclei.geojson",
        "single_nuclei.parquet",
        "single_rois.zip",
        "summary.csv",
    ]
    again = segment(*arguments, "--formats", "rois")
    assert "summary.csv and 1 more results exist already" in again.stderr


def test_an_unknown_format_is_refused_with_all_names(tmp_path: Path) -> None:
    result = segment("a.png", "--out", tmp_path / "out", "--formats", "csv,excel")
    assert result.exit_code == 2
    assert "excel is not one of tiff, overlay, csv, parquet, rois, geojson, ome-tiff, ome-zarr" in result.stderr


def test_a_large_frame_in_shares_has_the_nuclei_of_the_whole(
    bundle: Bundle, tmp_path: Path, frame: NDArray[np.uint16]
) -> None:
    import zarr

    tifffile.imwrite(tmp_path / "a.tif", np.tile(frame, (2, 3)))
    arguments = (tmp_path / "a.tif", "--bundle", bundle.path)
    assert segment(*arguments, "--out", tmp_path / "whole").exit_code == 0
    blocks = (*arguments, "--out", tmp_path / "out", "--large", "1000", "--block", "256")
    for part in ("1/2", "2/2"):
        result = segment(*blocks, "--shard", part)
        assert result.exit_code == 0, result.output
        assert f"part {part[0]} of 2 is done" in result.stdout
    result = segment(*blocks, "--join")
    assert result.exit_code == 0, result.output
    labels = np.asarray(zarr.open_array(tmp_path / "out" / "a_labels.ome.zarr" / "0", mode="r")[:])
    truth = tifffile.imread(tmp_path / "whole" / "a_labels.tif")
    pairs = np.unique(np.stack((labels.ravel(), truth.ravel())), axis=1)
    assert pairs.shape[1] == len(np.unique(truth)) == len(np.unique(labels)) > 1


def test_a_shard_after_the_join_says_that_there_is_nothing_to_do(bundle: Bundle, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (images / "single.png", "--out", out, "--bundle", bundle.path)
    for options in (["--shard", "1/1"], ["--join"]):
        assert segment(*arguments, *options).exit_code == 0
    result = segment(*arguments, "--shard", "1/1")
    sentence = f"{out} holds the results of every frame already: part 1 of 1 has nothing to do\n"
    assert (result.exit_code, result.stdout, result.stderr) == (0, sentence, "")
    report = json.loads(segment(*arguments, "--shard", "1/1", "--json").stdout)
    assert (report["engine"], report["frames"]) == (None, [])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--block", "1000"], "1000 is no multiple of 256"),
        (["--shard", "3/2"], "3/2 is no part of a whole; write 1/8, 2/8, ... 8/8"),
        (["--shard", "two"], "two is no part of a whole"),
        (["--shard", "1/2", "--join"], "--shard, --join and --overwrite exclude each other"),
        (["--shard", "1/2", "--dask", "tcp://127.0.0.1:1"], "--shard and --dask exclude each other"),
    ],
)
def test_options_that_contradict_are_refused(tmp_path: Path, options: list[str], sentence: str) -> None:
    result = segment("a.png", "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = segment("a.png", "--out", tmp_path / "out", "--dask", "tcp://127.0.0.1:1")
    assert result.exit_code == 15
    assert "--dask needs distributed: pip install 'unetplus-edge[cluster]'" in result.stderr
