"""The pages that tell how boards are measured: what they say can be typed, and what they name is there."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unetplus_bench.boards.datasheets import DEVICES
from unetplus_edge.zoo import find_bundle

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted(DOCS.glob("measure-*.md"))
PROGRAMS = {
    "unetplus-export": ("unetplus_export.command", "convert"),
    "unetplus-bench": ("unetplus_bench.command", "run"),
}


def lines(page: Path) -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    joined = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [words for words in (shlex.split(line, comments=True) for line in joined) if words]


def of_program(prefix: str) -> list[Any]:
    return [
        pytest.param(page, words, id=f"{page.stem}: {' '.join(words)}")
        for page in PAGES
        for words in lines(page)
        if Path(words[0]).name.startswith(prefix)
    ]


def test_there_is_a_page_for_every_device_with_a_datasheet() -> None:
    titles = " ".join(page.read_text().splitlines()[0] for page in PAGES)
    for device in DEVICES:
        words = device.name.removeprefix("Jetson ")
        assert words in titles, device.name


@pytest.mark.parametrize(("page", "words"), of_program("unetplus-"))
def test_every_command_of_ours_is_one_that_its_program_takes(page: Path, words: list[str]) -> None:
    module, default = PROGRAMS[words[0]]
    command, arguments = import_module(module).main, words[1:]
    if arguments[0] not in command.commands:
        arguments = [default, *arguments]
    command.commands[arguments[0]].make_context(words[0], arguments[1:]).close()


@pytest.mark.parametrize(("page", "words"), of_program("trtexec"))
def test_trtexec_gets_a_file_that_is_shipped_or_made_on_the_page(page: Path, words: list[str]) -> None:
    (name,) = (word.partition("=")[2] for word in words if word.startswith("--onnx="))
    shipped = {path.name for path in (find_bundle("unet_plus_tc_b8").path / "exports").iterdir()}
    precision = re.fullmatch(r"model_(\w+)\.onnx", name)
    assert precision is not None
    made = ["unetplus-export", "unet_plus_tc_b8", "--target", "onnx", "--precision", precision[1]]
    assert name in shipped or made in lines(page)


@pytest.mark.parametrize(("page", "words"), of_program("trtexec"))
def test_trtexec_gets_the_input_that_the_files_have(page: Path, words: list[str]) -> None:
    tensor = find_bundle("unet_plus_tc_b8").manifest.input
    assert f"--shapes={tensor.name}:1x{'x'.join(map(str, tensor.shape[1:]))}" in words
    assert {"--profilingVerbosity=detailed", "--dumpLayerInfo"} <= set(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_shipped_file_that_a_page_names_is_in_the_bundle(page: Path) -> None:
    folder = find_bundle("unet_plus_tc_b8").path
    for name in re.findall(r"`exports/([\w.]+)`", page.read_text()):
        assert (folder / "exports" / name).is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_device_that_a_page_names_is_one_that_bounds_know(page: Path) -> None:
    names = {device.name for device in DEVICES}
    told = [words[words.index("--device") + 1] for words in lines(page) if "--device" in words]
    assert told
    assert set(told) <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_to_other_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists()


def test_the_older_opset_of_the_page_of_the_nano_changes_no_answer(tmp_path: Path, monkeypatch: Any) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the export extra")
    ort = pytest.importorskip("onnxruntime", reason="needs the onnx extra")
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "measure-jetson-nano.md").read_text(), re.DOTALL)
    shipped = find_bundle("unet_plus_tc_b8").path / "exports" / "model_fp32.onnx"
    (tmp_path / shipped.name).write_bytes(shipped.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "measure-jetson-nano.md", "exec"), {})  # noqa: S102
    model = onnx.load(shipped.name)
    assert (model.opset_import[0].version, model.ir_version) == (13, 7)
    patches = np.random.default_rng(0).random((2, 256, 256, 1), np.float32)
    answers = [ort.InferenceSession(str(file)).run(None, {"image": patches})[0] for file in (shipped, shipped.name)]
    np.testing.assert_array_equal(*answers)
