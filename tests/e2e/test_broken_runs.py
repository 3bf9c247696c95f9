"""What breaks a run of `unetplus-runtime segment`: places that cannot be written, full disks, Ctrl-C and kills."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from unetplus_edge.datasets.specimen import Specimen, simulate

GREY = np.asarray(simulate(Specimen(height=72, width=96, seed=4)).image)
PROGRAM = Path(sys.executable).with_name("unetplus-runtime")


def images(folder: Path, count: int, pages: int = 1) -> Path:
    folder.mkdir()
    for number in range(count):
        stack = np.stack([np.roll(GREY, 7 * number + page, axis=1) for page in range(pages)])
        tifffile.imwrite(folder / f"{number}.tif", stack, photometric="minisblack")
    return folder


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("file/below", r"cannot be written (Not a directory)"),
        ("in", "in is the folder of the images"),
        ("in/../in", "is the folder of the images"),
        ("taken", r"taken/0_labels.tif exists already; replace with --overwrite"),
        ("nowhere", r"cannot be written (File exists)"),
        ("x" * 300, r"cannot be written (File name too long)"),
        ("/proc/results", r"cannot be written (No such file or directory)"),
    ],
)
def test_where_results_cannot_go_nothing_is_changed(
    segmenting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    images(Path("in"), 1)
    Path("file").write_text("a file")
    Path("taken").mkdir()
    Path("taken/0_labels.tif").write_text("precious")
    Path("nowhere").symlink_to("gone")
    before = sorted(map(str, Path().rglob("*")))
    result = segmenting.segment("in", out=out)
    assert result.exit_code == 15, result.output
    assert sentence in result.stderr
    assert sorted(map(str, Path().rglob("*"))) == before
    assert Path("taken/0_labels.tif").read_text() == "precious"


@pytest.fixture(scope="module")
def run(segmenting: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Twelve frames, and what an unbroken run makes of them."""
    folder = tmp_path_factory.mktemp("run")
    images(folder / "in", 2, pages=6)
    assert segmenting.segment(str(folder / "in"), out=str(folder / "out")).exit_code == 0
    return folder / "in", segmenting.unchanging(folder / "out")


def test_a_full_disk_ends_the_run_and_a_larger_one_continues_it(
    segmenting: Any, places: Any, run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, whole = run
    out = tmp_path / "disk"
    with places.mounted(out, "size=64k"):
        result = segmenting.segment(str(folder), out=str(out))
        assert result.exit_code == 15
        assert "cannot be written (No space left on device); free the disk" in result.stderr
        assert not list(out.rglob(".unfinished*"))
        recorded = [json.loads(line) for line in (out / "unfinished.jsonl").read_bytes().splitlines(keepends=True)[2:]]
        assert 0 < len(recorded) < 12
        subprocess.run(["mount", "-o", "remount,size=16m", out], check=True)
        result = segmenting.segment(str(folder), out=str(out))
        assert result.exit_code == 0, result.output
        assert f"{len(recorded)} of them done before" in result.stdout
        assert segmenting.unchanging(out) == whole


def test_a_disk_that_is_full_from_the_start_keeps_nothing(segmenting: Any, places: Any, tmp_path: Path) -> None:
    folder = images(tmp_path / "in", 2)
    out = tmp_path / "disk"
    with places.mounted(out, "size=8k"):
        (out / "other").write_bytes(bytes(8192))
        result = segmenting.segment(str(folder), out=str(out))
        assert result.exit_code == 15
        assert "No space left on device" in result.stderr
        assert [path.name for path in out.iterdir()] == ["other"]


def test_a_read_only_disk_is_refused(segmenting: Any, places: Any, tmp_path: Path) -> None:
    folder = images(tmp_path / "in", 1)
    with places.mounted(tmp_path / "disk", "size=64k,ro"):
        result = segmenting.segment(str(folder), out=str(tmp_path / "disk" / "out"))
    assert result.exit_code == 15
    assert "cannot be written (Read-only file system)" in result.stderr


@pytest.mark.usefixtures("open_folder")
def test_permissions_are_kept(segmenting: Any, places: Any) -> None:
    images(Path("in"), 3)
    segmenting.segment("in", out="first")  # what is loaded once is loaded with all rights
    Path("in/1.tif").chmod(0)
    images(Path("in/closed"), 1)
    Path("in/closed").chmod(0)
    images(Path("secret"), 1)
    Path("secret").chmod(0)
    Path("locked").mkdir(mode=0o555)
    with places.as_nobody():
        locked = segmenting.segment("in", out="locked/out")
        secret = segmenting.segment("secret")
        result = segmenting.segment("in")
    for path in (Path("in/closed"), Path("secret")):
        path.chmod(0o755)
    assert (locked.exit_code, secret.exit_code, result.exit_code) == (15, 17, 17)
    assert "cannot be written (Permission denied)" in locked.stderr
    assert "secret cannot be listed (Permission denied); check its permissions" in secret.stderr
    assert "in/closed cannot be listed (Permission denied); check its permissions" in result.stderr
    assert "in/1.tif cannot be read (Permission denied); check the path and its permissions" in result.stderr
    assert segmenting.complete(Path("out")) == {"0", "2"}
    assert not any(Path("locked").iterdir())


def interrupted(folder: Path, out: Path, kind: signal.Signals, after: int) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, and send it a signal when it has done some frames more."""
    process = subprocess.Popen(
        [PROGRAM, "segment", folder, "--out", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    record = out / "unfinished.jsonl"
    begun = len(record.read_bytes().splitlines()) if record.exists() else 2
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if record.exists() and len(record.read_bytes().splitlines()) >= begun + after:
            process.send_signal(kind)
            break
        time.sleep(0.002)
    stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def test_control_c_keeps_what_is_done_and_the_same_command_goes_on(
    segmenting: Any, run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, whole = run
    out = tmp_path / "out"
    done = interrupted(folder, out, signal.SIGINT, after=2)
    assert done.returncode == 130, done.stderr
    *_, hint, last = done.stderr.splitlines()
    assert hint == "What is done is kept: the same command, without --overwrite, goes on where it stopped."
    assert last == "error: interrupted"
    assert "Traceback" not in done.stderr
    assert not list(out.rglob(".unfinished*"))
    kept = len((out / "unfinished.jsonl").read_bytes().splitlines()) - 2
    assert 2 <= kept < 12
    assert kept - 1 <= len(segmenting.summary(out)) <= kept
    result = segmenting.segment(str(folder), out=str(out))
    assert result.exit_code == 0, result.output
    assert f"{kept} of them done before" in result.stdout
    assert segmenting.unchanging(out) == whole


def test_kills_cost_no_more_than_the_frame_in_hand(
    segmenting: Any, run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, whole = run
    out = tmp_path / "out"
    for after in (1, 4):
        assert interrupted(folder, out, signal.SIGKILL, after).returncode == -signal.SIGKILL
        half = [path for path in out.rglob("*") if path.name.startswith(".unfinished")]
        rows = [json.loads(line) for line in (out / "unfinished.jsonl").read_bytes().splitlines()[2:]]
        assert len(half) <= 1
        for frame in (row["row"]["id"] for row in rows):
            assert tifffile.imread(out / f"{frame}_labels.tif").shape == GREY.shape
    result = segmenting.segment(str(folder), out=str(out))
    assert result.exit_code == 0, result.output
    assert segmenting.unchanging(out) == whole


def test_an_unfinished_run_is_not_mixed_with_another(
    segmenting: Any, run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, _ = run
    out = tmp_path / "out"
    interrupted(folder, out, signal.SIGKILL, after=2)
    for typed, sentence in (
        (("--pixel-size", "0.5"), "holds an unfinished run with another --pixel-size (None, now 0.5)"),
        (("--engine", "auto", "--channel", "1"), "holds an unfinished run with another --channel (None, now 1)"),
    ):
        result = segmenting.segment(str(folder), *typed, out=str(out))
        assert (result.exit_code, sentence in result.stderr) == (15, True), result.output
    shutil.copytree(folder, tmp_path / "other")
    result = segmenting.segment(str(tmp_path / "other"), out=str(out))
    assert result.exit_code == 15
    assert "which is not among the images, or has changed since" in result.stderr
