"""The picture of the trainings, read back from the drawing."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs the train extra")
from unetplus_edge.errors import OutputError
from unetplus_edge.training.curves import draw_curves
from unetplus_edge.training.run_folder import EpochRecord


def log_of(losses):
    return [EpochRecord(n, 5e-4, 10, 9.0, loss, 1.0) for n, loss in enumerate(losses, start=1)]


def lines_in(svg):
    """The points of each drawn line, in drawing units, y downwards."""
    paths = re.findall(r'<path d="([^"]*)" clip-path="[^"]*" style="fill: none; stroke: (#[0-9a-f]{6})', svg)
    grid = "#b0b0b0"
    return [
        np.array([[float(x), float(y)] for x, y in re.findall(r"[ML] (\S+) (\S+)", points)])
        for points, colour in paths
        if colour != grid
    ]


def test_each_model_is_a_line_of_validation_loss_over_epochs(tmp_path):
    path = tmp_path / "curves.svg"
    draw_curves({"first": log_of([1.0, 0.5, 0.25]), "second": log_of([0.75, 0.5])}, path)
    first, second = lines_in(path.read_text())
    assert (len(first), len(second)) == (3, 2)
    np.testing.assert_allclose(np.diff(first[:, 0]), first[1, 0] - first[0, 0], rtol=1e-4)
    np.testing.assert_allclose(second[:, 0], first[:2, 0])
    per_loss = (first[2, 1] - first[0, 1]) / (0.25 - 1.0)
    assert per_loss < 0
    np.testing.assert_allclose(first[:, 1], first[0, 1] + per_loss * (np.array([1.0, 0.5, 0.25]) - 1), rtol=1e-4)
    np.testing.assert_allclose(second[:, 1], first[0, 1] + per_loss * (np.array([0.75, 0.5]) - 1), rtol=1e-4)


def test_equal_ratios_are_equal_steps_where_that_is_asked_for(tmp_path):
    path = tmp_path / "curves.svg"
    draw_curves({"only": log_of([1.6, 0.4, 0.2, 0.1])}, path, logarithmic=True)
    heights = lines_in(path.read_text())[-1][:, 1]
    np.testing.assert_allclose(np.diff(heights) / np.diff(heights)[-1], [2, 1, 1], rtol=1e-4)


def test_a_png_is_a_picture(tmp_path):
    path = tmp_path / "curves.png"
    draw_curves({"only": log_of([0.5])}, path)
    picture = cv2.imread(str(path))
    assert picture.shape[:2] == (675, 1050)
    assert picture.std() > 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["curves.png"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        draw_curves({"only": log_of([0.5])}, tmp_path / "missing" / "curves.png")
