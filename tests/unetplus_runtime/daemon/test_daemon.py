from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_edge.errors import BundleError, ConfigurationError, EngineError, OutputError, UnetPlusError
from unetplus_runtime import Segmenter
from unetplus_runtime.cameras import SimulatedSettings, open_camera
from unetplus_runtime.configuration import Loaded, settings_hash
from unetplus_runtime.daemon import Daemon, Limits
from unetplus_runtime.daemon.control import ask
from unetplus_runtime.records import RecordReader
from unetplus_runtime.records.schema import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_edge.bundle import Bundle
    from unetplus_runtime.configuration import ModelSettings, ServeSettings
    from unetplus_runtime.records import FrameRecord


def _records(settings: ServeSettings) -> list[FrameRecord]:
    with RecordReader(settings.data_dir) as reader:
        return [committed.record for committed in reader.frames()]


def _events(settings: ServeSettings, kind: str) -> list[dict[str, Any]]:
    with RecordReader(settings.data_dir) as reader:
        return [event.detail for event in reader.events() if event.kind == kind]


def _camera(**given: Any) -> dict[str, Any]:
    return {"camera": "simulated", "height": 64, "width": 80, "loop": 2, "rate": None} | given


def test_records_are_what_the_model_finds_in_the_frames_of_the_camera(
    start: Any, make_settings: Any, bundle: Bundle
) -> None:
    settings = make_settings(camera=_camera(frames=5), pixel_size=0.5)
    running = start(settings)
    running.thread.join(120)
    assert running.error is None
    camera = open_camera(SimulatedSettings.model_validate(_camera(frames=5)))
    with Segmenter(bundle, "litert", 1) as segmenter:
        frames = [camera.read(60) for _ in range(5)]
        expected = [segmenter.segment(frame.array, 0.5) for frame in frames if frame is not None]
    camera.close()
    records = _records(settings)
    assert [record.sequence for record in records] == [0, 1, 2, 3, 4]
    assert [record.nuclei for record in records] == [len(result.nuclei) for result in expected]
    assert [record.area_mean for record in records] == pytest.approx(
        [float(result.nuclei.area.mean()) if len(result.nuclei) else None for result in expected]
    )
    assert {(record.simulated, record.pixel_size, record.configuration_hash) for record in records} == {
        (True, 0.5, settings_hash(settings))
    }


def test_a_camera_that_ends_ends_the_daemon_with_every_frame_recorded(start: Any, make_settings: Any) -> None:
    running = start(make_settings(camera=_camera(frames=7)))
    running.thread.join(120)
    known = running.daemon.state.snapshot
    assert (known.phase, running.error) == ("stopped", None)
    assert known.camera.totals.processed == known.camera.totals.captured == 7
    assert known.totals.processed == 7
    assert known.last.sequence == 6


def test_it_ends_after_as_many_frames_as_were_asked_for(start: Any, make_settings: Any) -> None:
    settings = make_settings()
    start(settings, Limits(frames=3)).thread.join(120)
    assert len(_records(settings)) == 3


def test_it_ends_when_nothing_comes_for_long_enough(start: Any, make_settings: Any, images: Path) -> None:
    settings = make_settings(camera={"camera": "folder", "path": images, "settle": 0.01, "poll": 0.05})
    start(settings, Limits(until_idle=1.0)).thread.join(120)
    assert len(_records(settings)) == 5


def test_nobody_is_told_of_a_frame_before_its_record_is_on_the_disk(start: Any, make_settings: Any) -> None:
    settings = make_settings()
    running = start(settings, Limits(frames=40))
    state, version, told = running.daemon.state, -1, 0
    while state.snapshot.phase != "stopped":
        known = state.wait(version, 60)
        version = known.version
        if known.last is not None and known.last.id != told:
            told = known.last.id
            with RecordReader(settings.data_dir) as reader:
                assert reader.last().id >= told  # type: ignore[union-attr]
    assert told


def test_the_picture_is_that_of_a_recorded_frame(start: Any, make_settings: Any) -> None:
    settings = make_settings()
    running = start(settings, Limits(frames=5))
    running.thread.join(120)
    picture = running.daemon.state.picture
    assert picture.simulated
    assert picture.labels.max() == _records(settings)[picture.id - 1].nuclei
    assert picture.array.shape == picture.labels.shape == (64, 80)


def test_phases_come_in_order(start: Any, make_settings: Any, wait: Any) -> None:
    settings = make_settings()
    running = start(settings)
    state = running.daemon.state
    wait(lambda: state.snapshot.ready and state.snapshot.last, "being ready")
    assert ask(settings.data_dir, {"do": "status"})["status"]["phase"] == "ready"
    running.end()
    assert (state.snapshot.phase, state.snapshot.reason) == ("stopped", "the test is over")
    assert running.error is None
    kinds = [kind for kind in ("started", "stopping") if _events(settings, kind)]
    assert kinds == ["started", "stopping"]
    states = [event["state"] for event in _events(settings, "camera")]
    assert states == ["starting", "online", "offline"]


def test_a_driver_that_crashes_costs_no_frame_that_was_told_of(start: Any, make_settings: Any) -> None:
    faults = ({"kind": "crash", "frame": 3, "lives": (0, 1)},)
    settings = make_settings(camera=_camera(frames=5, faults=faults))
    running = start(settings)
    running.thread.join(120)
    totals = running.daemon.state.snapshot.camera.totals
    assert totals.captured == totals.processed + sum(totals.dropped.values())
    assert running.daemon.state.snapshot.camera.restarts == 2
    assert [(record.life, record.sequence) for record in _records(settings)][-5:] == [(2, n) for n in range(5)]
    assert any(trouble.kind == "camera" for trouble in running.daemon.state.snapshot.troubles)


def test_a_second_daemon_is_refused(start: Any, make_settings: Any, wait: Any) -> None:
    settings = make_settings()
    first = start(settings)
    wait(lambda: first.daemon.state.snapshot.phase == "ready")
    with pytest.raises(OutputError, match=r"records into .* already"):
        Daemon(Loaded(settings, {}, simulated_by_default=False)).run()
    assert first.daemon.state.snapshot.phase == "ready"


def test_results_among_the_images_are_refused(make_settings: Any, images: Path) -> None:
    settings = make_settings(camera={"camera": "folder", "path": images}, data_dir=images / "results")
    with pytest.raises(ConfigurationError, match="lies in the folder that is watched"):
        Daemon(Loaded(settings, {}, simulated_by_default=False)).run()
    assert not (images / "results").exists()


def test_a_model_that_is_damaged_is_refused_and_nothing_is_made(make_settings: Any, tmp_path: Path) -> None:
    settings = make_settings(model={"bundle": str(tmp_path)})
    with pytest.raises(BundleError):
        Daemon(Loaded(settings, {}, simulated_by_default=False)).run()
    assert not settings.data_dir.exists()


def _other(bundle: Bundle, folder: Path) -> Path:
    shutil.copytree(bundle.path, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["postprocessing"]["min_nucleus_area"] = 100_000  # it finds nothing
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_another_model_counts_from_one_frame_to_the_next(
    start: Any, make_settings: Any, wait: Any, bundle: Bundle, tmp_path: Path
) -> None:
    settings = make_settings(camera=_camera(rate=50))
    running = start(settings)
    state = running.daemon.state
    wait(lambda: state.snapshot.last)
    first = state.snapshot.model.hash
    answer = ask(settings.data_dir, {"do": "reload-model", "bundle": str(_other(bundle, tmp_path / "other"))}, 120)
    second = answer["new"]["hash"]
    assert answer["old"]["hash"] == first != second == state.snapshot.model.hash
    wait(lambda: state.snapshot.last.model_hash == second)
    running.end()
    records = _records(settings)
    hashes = [record.model_hash for record in records]
    change = hashes.index(second)
    assert set(hashes[:change]) == {first}
    assert set(hashes[change:]) == {second}
    assert {record.nuclei for record in records[change:]} == {0}
    assert [event["to"] for event in _events(settings, "model swapped")] == [second]
    assert state.snapshot.model_swaps == 1


def test_every_model_gets_the_grid_of_the_settings_and_the_records_say_so(
    start: Any, make_settings: Any, model_settings: ModelSettings, wait: Any, bundle: Bundle, tmp_path: Path
) -> None:
    settings = make_settings(camera=_camera(rate=50), model=model_settings.model_copy(update={"grid": "halo"}))
    running = start(settings)
    wait(lambda: running.daemon.state.snapshot.last)
    answer = ask(settings.data_dir, {"do": "reload-model", "bundle": str(_other(bundle, tmp_path / "other"))}, 120)
    assert (answer["old"]["grid"], answer["new"]["grid"]) == ("halo", "halo")
    running.end()
    with closing(sqlite3.connect(settings.data_dir / DATABASE)) as database:
        models = [json.loads(facts) for (facts,) in database.execute("SELECT facts FROM models")]
        ((known,),) = database.execute("SELECT settings FROM configurations").fetchall()
    assert [facts["grid"] for facts in models] == ["halo", "halo"]
    assert json.loads(known)["model"]["grid"] == "halo"


def _half_copied(folder: Path) -> None:
    file = next(folder.glob("exports/*"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _without_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _nothing(folder: Path) -> None:
    shutil.rmtree(folder)


def _without_conversion(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["conversions"] = []
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (_half_copied, BundleError),
        (_without_manifest, BundleError),
        (_nothing, BundleError),
        (_without_conversion, EngineError),
    ],
)
def test_a_model_that_is_refused_changes_nothing(
    start: Any,
    make_settings: Any,
    wait: Any,
    bundle: Bundle,
    tmp_path: Path,
    damage: Callable[[Path], None],
    error: type[UnetPlusError],
) -> None:
    settings = make_settings(camera=_camera(rate=50))
    running = start(settings)
    state = running.daemon.state
    wait(lambda: state.snapshot.last)
    before = state.snapshot.model
    folder = tmp_path / "new"
    shutil.copytree(bundle.path, folder)
    damage(folder)
    with pytest.raises(UnetPlusError) as caught:
        ask(settings.data_dir, {"do": "reload-model", "bundle": str(folder)}, 120)
    assert caught.value.exit_code == error.exit_code
    last = state.snapshot.last.id
    wait(lambda: state.snapshot.last.id > last + 1)
    assert (state.snapshot.model, state.snapshot.model_swaps, state.snapshot.phase) == (before, 0, "ready")
    running.end()
    assert {record.model_hash for record in _records(settings)} == {before.hash}
    assert str(folder) in _events(settings, "model refused")[0]["why"] + _events(settings, "model refused")[0]["bundle"]


def test_settings_that_may_change_do_so_and_others_wait_for_a_restart(
    start: Any, make_settings: Any, wait: Any
) -> None:
    settings = make_settings(camera=_camera(rate=50))
    new = make_settings(camera=_camera(rate=99), pixel_size=0.25, record={"labels": True})
    running = start(settings, load=lambda: Loaded(new, {}, simulated_by_default=False))
    state = running.daemon.state
    wait(lambda: state.snapshot.last)
    running.daemon.reload()
    hash_ = state.snapshot.configuration.hash
    assert state.snapshot.configuration.needs_restart == ("camera.rate",)
    applied = settings.model_copy(update={"pixel_size": 0.25, "record": new.record})
    assert hash_ == settings_hash(applied)
    at = state.snapshot.last.id
    wait(lambda: state.snapshot.last.id > at + 3)
    running.end()
    records = _records(settings)
    assert {(record.pixel_size, record.configuration_hash) for record in records} == {
        (None, settings_hash(settings)),
        (0.25, hash_),
    }
    assert records[0].labels_file is None
    assert (settings.data_dir / records[-1].labels_file).is_file()


def test_wrong_settings_change_nothing(start: Any, make_settings: Any, wait: Any) -> None:
    settings = make_settings(camera=_camera(rate=50))

    def refuse() -> Loaded:
        raise ConfigurationError("file.toml:3: camera.rate: must be greater than 0, and is 0")

    running = start(settings, load=refuse)
    state = running.daemon.state
    wait(lambda: state.snapshot.last)
    before = state.snapshot.configuration
    running.daemon.reload()
    assert "camera.rate" in state.snapshot.configuration.error
    assert replace(state.snapshot.configuration, error="") == before
    at = state.snapshot.last.id
    wait(lambda: state.snapshot.last.id > at + 1)
    running.end()
    assert {record.configuration_hash for record in _records(settings)} == {settings_hash(settings)}
    assert "camera.rate" in _events(settings, "configuration refused")[0]["why"]


def test_a_daemon_asked_to_end_before_it_is_ready_ends(make_settings: Any) -> None:
    daemon = Daemon(Loaded(make_settings(), {}, simulated_by_default=False))
    daemon.stop("early")
    daemon.run()
    assert daemon.state.snapshot.phase == "stopped"
    assert daemon.state.snapshot.last is None
