from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_edge.errors import ConfigurationError
from unetplus_edge.zoo import DEFAULT
from unetplus_runtime.cameras import FolderSettings, OpenCVSettings, SimulatedSettings
from unetplus_runtime.configuration import Typed, load
from unetplus_runtime.configuration.changes import leaves

if TYPE_CHECKING:
    from unetplus_runtime.configuration import ServeSettings

    from .conftest import Write

HOME = {"HOME": "/home/ada"}


def problems(file: Path | None = None, options: dict[str, Any] | None = None, **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(file, options or {}, HOME | environ)
    assert caught.value.exit_code == 20
    return caught.value.problems


def value(settings: ServeSettings, field: str) -> object:
    return leaves(settings)[field]


def test_without_anything_the_camera_is_simulated_and_says_so() -> None:
    settings, origin, simulated_by_default = load(None, {}, HOME)
    assert settings.camera == SimulatedSettings()
    assert simulated_by_default
    assert settings.data_dir == Path("/home/ada/.local/state/unetplus-edge")
    assert set(origin) == set(leaves(settings))
    assert set(origin.values()) == {"default"}


def test_a_simulated_camera_that_was_asked_for_is_no_default() -> None:
    assert not load(None, {"camera": "simulated"}, HOME).simulated_by_default
    assert load(None, {"record.labels": "true"}, HOME).simulated_by_default


@pytest.mark.parametrize("text", ["", "pixel_size = 0.5\n"])
def test_a_file_without_a_camera_is_refused_with_what_to_write(write: Write, text: str) -> None:
    file = write(text)
    [said] = problems(file)
    assert said.startswith(f"{file}: camera: is missing; write a section [camera]")


def test_a_file_without_a_camera_will_do_where_an_option_names_one(write: Write, folder: Path) -> None:
    loaded = load(write("pixel_size = 0.5\n"), {"camera": f"folder:{folder}"}, HOME)
    assert (loaded.settings.camera, loaded.settings.pixel_size) == (FolderSettings(path=folder), 0.5)
    assert not loaded.simulated_by_default


def test_an_option_wins_over_the_environment_and_that_over_the_file(write: Write) -> None:
    file = write("""
        [camera]
        camera = "simulated"
        height = 100
        width = 100
        rate = 1
    """)
    environ = {"UNETPLUS_SERVE__CAMERA__WIDTH": "200", "UNETPLUS_SERVE__CAMERA__RATE": "2"}
    settings, origin, _ = load(file, {"camera.rate": "3"}, HOME | environ)
    assert settings.camera == SimulatedSettings(height=100, width=200, rate=3)
    assert {field: words for field, words in origin.items() if words != "default"} == {
        "camera.camera": f"file {file} line 3",
        "camera.height": f"file {file} line 4",
        "camera.width": "environment UNETPLUS_SERVE__CAMERA__WIDTH",
        "camera.rate": "option --set camera.rate",
    }


def test_an_option_is_called_as_it_was_typed() -> None:
    origin = load(None, {"model.threads": Typed("--threads", "2"), "camera": "simulated"}, HOME).origin
    assert (origin["model.threads"], origin["camera.camera"]) == ("option --threads", "option --camera")


def test_options_that_were_not_typed_change_nothing() -> None:
    options = {"camera": None, "model.bundle": None, "log.json_lines": Typed("--log-json", None)}
    assert load(None, options, HOME) == load(None, {}, HOME)


def test_another_camera_sets_aside_what_was_said_of_the_one_before(write: Write) -> None:
    file = write("""
        [camera]
        camera = "simulated"
        rate = 5
        [[camera.faults]]
        kind = "crash"
    """)
    settings, origin, _ = load(file, {"camera": "opencv:0"}, HOME)
    assert settings.camera == OpenCVSettings(source=0)
    assert origin["camera.rate"] == "default"


def test_the_same_camera_keeps_what_was_said_of_it(write: Write, folder: Path) -> None:
    file = write("""
        [camera]
        camera = "folder"
        path = "/elsewhere"
        settle = 7
    """)
    assert load(file, {"camera": str(folder)}, HOME).settings.camera == FolderSettings(path=folder, settle=7)


def test_a_camera_may_come_from_the_environment_alone(folder: Path) -> None:
    whole = load(None, {}, HOME | {"UNETPLUS_SERVE__CAMERA": f"folder:{folder}"})
    parts = load(
        None, {}, HOME | {"UNETPLUS_SERVE__CAMERA__CAMERA": "folder", "UNETPLUS_SERVE__CAMERA__PATH": str(folder)}
    )
    assert whole.settings == parts.settings
    assert whole.settings.camera == FolderSettings(path=folder)


def test_a_camera_of_no_kind_is_not_made_a_simulated_one() -> None:
    assert problems(options={"camera.rate": "10"}) == (
        'camera.camera: is missing; it must be one of "simulated", "folder", "opencv"',
    )


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("camera.rate", "none", None),
        ("camera.rate", "0.5", 0.5),
        ("camera.faults", '[{kind = "crash", frame = 2, lives = [0]}]', 2),
        ("model.threads", "3", 3),
        ("model.execution", "none", None),
        ("model.grid", "whole", "whole"),
        ("record.nuclei", "false", False),
        ("record.labels", "1", True),
        ("retention.max_size", "2 KiB", 2048),
        ("log.level", "debug", "debug"),
    ],
)
def test_text_stands_for_a_value(field: str, text: str, expected: object) -> None:
    name = f"UNETPLUS_SERVE__{field.replace('.', '__').upper()}"
    by_environment = load(None, {}, HOME | {name: text, "UNETPLUS_SERVE__CAMERA": "simulated"}).settings
    assert load(None, {field: text, "camera": "simulated"}, HOME).settings == by_environment
    found = value(by_environment, field)
    assert (found[0]["frame"] if isinstance(found, list) else found) == expected


def test_text_that_only_looks_like_a_list_is_text(folder: Path) -> None:
    options = {"camera": f"folder:{folder}", "camera.channel": "[blue"}
    assert load(None, options, HOME).settings.camera == FolderSettings(path=folder, channel="[blue")


def test_a_user_without_a_home_has_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigurationError, match="name a folder with --data-dir"):
        load(None, {}, {})
    assert load(None, {"data_dir": "/data"}, {}).settings.data_dir == Path("/data")


def test_relative_paths_of_a_file_begin_at_its_folder_and_others_at_the_working_folder(
    write: Write, folder: Path
) -> None:
    file = write('data_dir = "results"\n[camera]\ncamera = "folder"\npath = "images"\nquarantine = "bad"\n', "a/b.toml")
    settings = load(file, {}, HOME).settings
    assert settings.data_dir == file.parent / "results"
    assert settings.camera == FolderSettings(path=file.parent / "images", quarantine=Path("bad"))
    typed = load(file, {"data_dir": "results", "camera.path": "../images"}, HOME).settings
    assert typed.data_dir == folder / "results"
    assert typed.camera == FolderSettings(path=folder / "../images", quarantine=Path("bad"))


def test_a_file_is_relative_to_its_own_folder_where_its_path_is_relative(write: Write, folder: Path) -> None:
    write('data_dir = "results"\n[camera]\ncamera = "simulated"\n')
    assert load(Path("../unetplus.toml"), {}, HOME).settings.data_dir == folder / ".." / "results"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("film.avi", "{folder}/film.avi"),
        ("0", 0),
        ("/dev/video3", "/dev/video3"),
        ("http://host/x.mjpg", "http://host/x.mjpg"),
    ],
)
def test_only_a_video_file_among_sources_is_a_path(folder: Path, source: str, expected: str | int) -> None:
    camera = load(None, {"camera": f"opencv:{source}"}, HOME).settings.camera
    assert camera == OpenCVSettings(source=expected.format(folder=folder) if isinstance(expected, str) else expected)


def test_a_bundle_is_a_name_in_the_zoo_or_a_folder(folder: Path) -> None:
    def bundle(text: str) -> str:
        return load(None, {"model.bundle": text}, HOME).settings.model.bundle

    assert bundle(DEFAULT) == DEFAULT
    assert bundle("mine") == str(folder / "mine")
    (folder / DEFAULT).mkdir()
    assert bundle(DEFAULT) == str(folder / DEFAULT)


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert load(None, {"data_dir": "~/data"}, HOME).settings.data_dir == Path("/home/ada/data")
    [said] = problems(options={"data_dir": "~nobody-has-this-name/data"})
    assert "whose home is not known" in said


def test_every_problem_of_a_file_is_told_with_line_and_field_in_order(write: Write) -> None:
    file = write("""\
        pixel_sise = 1
        data_dir = ""
        [camera]
        camera = "folder"
        rate = 3
        settle = true

        [record]
        labels = "x"
        [log]
        level = 'loud'
        [retention]
        max_size = "much"
        [model]
        threads = 0
        [stopping]
        deadline = [
            1,
        ]
        [nothing]
    """)
    said = problems(file)
    assert [one.removeprefix(f"{file}:").partition(": ")[::2] for one in said] == [
        ("1", "pixel_sise: there is no such field; the nearest is pixel_size"),
        ("2", "data_dir: is empty; leave it out, or write what is meant"),
        ("3", "camera.path: is missing"),
        (
            "5",
            "camera.rate: there is no such field of the camera folder; "
            "there are camera, path, channel, settle, patience, poll, quarantine",
        ),
        ("6", "camera.settle: must be no truth value, and is true"),
        ("9", 'record.labels: must be true or false, and is "x"'),
        ("11", "log.level: must be 'debug', 'info', 'warning' or 'error', and is \"loud\""),
        ("13", 'retention.max_size: must be a whole number of bytes, or text such as "10 GiB", and is "much"'),
        ("15", "model.threads: must be greater than or equal to 1, and is 0"),
        ("17", "stopping.deadline: must be a valid number, and is [1]"),
        (
            "20",
            "nothing: there is no such field; there are data_dir, pixel_size, camera, model, durability, record, "
            "retention, restarts, stopping, log",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[camera]\ncamera = "webcam"', 2, 'camera.camera: must be one of "simulated", "folder", "opencv", and is "w'),
        ("[camera]\ncamera = [1]", 2, 'camera.camera: must be one of "simulated", "folder", "opencv", and is [1]'),
        ("[camera]\nrate = 1", 1, "camera.camera: is missing; it must be one of"),
        ('camera = "simulated"', 1, "camera: must be a section with fields of its own, and is"),
        ('[[camera]]\ncamera = "simulated"', 1, "camera: must be a section with fields of its own, and is"),
        ('[camera]\ncamera = "opencv"\n\nsource = -1', 4, "camera.source: must be greater than or equal to 0, and is"),
        (
            '[camera]\ncamera = "simulated"\n[[camera.faults]]\nkind = "crash"\n[[camera.faults]]\nkind = "burn"',
            6,
            "camera.faults[1].kind: must be 'slow_start'",
        ),
        (
            '[camera]\ncamera = "simulated"\n[[camera.faults]]\n[[camera.faults]]\nkind = "crash"',
            3,
            "camera.faults[0].kind: is missing",
        ),
        ('record = true\n[camera]\ncamera = "simulated"', 1, "record: must be a section with fields of its own"),
        ('[camera]\ncamera = "simulated"\n[model]\nthreads.x = 1', 4, "model.threads: must be a valid integer"),
        ('[camera]\ncamera = "opencv"\nsource = "a\\u0000"', 3, "camera.source: holds letters that are no text"),
        ('[camera]\ncamera = "simulated"\nseed = nan', 3, "camera.seed: must be a finite number"),
    ],
)
def test_a_problem_is_told_where_it_is(write: Write, text: str, line: int, said: str) -> None:
    file = write(text)
    [found] = problems(file)
    assert found.startswith(f"{file}:{line}: {said}")


@pytest.mark.parametrize(
    ("options", "environ", "said"),
    [
        ({"camera.rate": "-1"}, {}, '--set camera.rate: camera.rate: must be greater than 0, and is "-1"'),
        ({}, {"UNETPLUS_SERVE__CAMERA__RATE": "x"}, "UNETPLUS_SERVE__CAMERA__RATE: camera.rate: must be a valid n"),
        ({}, {"UNETPLUS_SERVE__RECORD__LABEL": "1"}, "UNETPLUS_SERVE__RECORD__LABEL: record.label: there is no such"),
        ({}, {"UNETPLUS_SERVE__RECORD": "1"}, "UNETPLUS_SERVE__RECORD: record: must be a section with fields of its"),
        ({}, {"UNETPLUS_SERVE__DATA_DIR": ""}, "UNETPLUS_SERVE__DATA_DIR: data_dir: is empty"),
        ({}, {"UNETPLUS_SERVE__PIXEL_SIZE__X": "1"}, "UNETPLUS_SERVE__PIXEL_SIZE__X: pixel_size: must be a valid"),
        ({"camera.height.x": "1"}, {}, "--set camera.height.x: camera.height.x: there is no such field"),
        ({"data_dir": "a\udcff"}, {}, "--set data_dir: data_dir: holds letters that are no text"),
        ({"": "1"}, {}, "--set "),
    ],
)
def test_a_problem_names_its_option_or_variable(
    write: Write, options: dict[str, str], environ: dict[str, str], said: str
) -> None:
    file = write('[camera]\ncamera = "simulated"\nheight = 100\n')
    [found] = problems(file, options, **environ)
    assert found.startswith(said)


def test_a_camera_that_is_none_is_the_only_problem() -> None:
    [said] = problems(options={"camera": "webcam"})
    assert said.startswith("--camera: webcam is neither a camera nor a folder that exists")


def test_a_url_whose_secrets_were_left_out_is_refused() -> None:
    [said] = problems(options={"camera": "rtsp://***@host/live"})
    assert said == "--camera: camera.source: is a URL whose user, password or query was left out; write it in full"


@pytest.mark.parametrize(
    "options",
    [
        {"camera": "gige://ada:secret@host"},
        {"camera": "opencv:rtsp://ada:secret@host", "camera.rate": "-1"},
        {"camera.camera": "rtsp://ada:secret@host"},
        {"camera": "simulated", "camera.rate": "rtsp://ada:secret@host"},
        {"camera": "simulated", "camera.faults": '[{kind = "rtsp://ada:secret@host"}]'},
        {"record": "rtsp://ada:secret@host"},
    ],
)
def test_no_problem_tells_a_password(options: dict[str, str]) -> None:
    assert "secret" not in " ".join(problems(options=options))


def test_loading_changes_nothing_of_what_it_was_given(write: Write) -> None:
    file = write('[camera]\ncamera = "simulated"\nrate = 1\n')
    options, environ = {"camera.rate": "2"}, HOME | {"UNETPLUS_SERVE__CAMERA__RATE": "3"}
    first = load(file, options, environ)
    assert load(file, options, environ) == first
    assert (options, environ) == ({"camera.rate": "2"}, HOME | {"UNETPLUS_SERVE__CAMERA__RATE": "3"})
