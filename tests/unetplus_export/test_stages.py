"""What an export shows of its progress."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from unetplus_export.stages import Stages, shown_stages


@pytest.fixture
def progress() -> Progress:
    return Progress(console=Console(file=io.StringIO()))


def test_a_stage_has_its_name_and_its_steps(progress: Progress) -> None:
    stages = Stages(progress)
    stages.begin("onnx int8: trying it with onnxruntime", 109)
    for _ in range(3):
        stages.step()
    (task,) = progress.tasks
    assert (task.description, task.completed, task.total) == ("onnx int8: trying it with onnxruntime", 3, 109)


def test_a_new_stage_takes_the_place_of_the_last(progress: Progress) -> None:
    stages = Stages(progress)
    stages.begin("onnx int8: trying it", 5)
    stages.step()
    stages.begin("onnx int8: which layers lose most")
    (task,) = progress.tasks
    assert (task.description, task.completed, task.total) == ("onnx int8: which layers lose most", 0, None)


@pytest.mark.parametrize(
    ("quiet", "terminal", "shown"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_stages_are_shown_on_a_terminal_where_quiet_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, quiet: bool, terminal: bool, shown: bool
) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with shown_stages(quiet=quiet) as stages:
        stages.begin("tflite fp16: converting", 2)
        stages.step()
    assert ("tflite fp16: converting" in screen.getvalue()) == shown
