"""Conversions beside the Keras model: which objects differ."""

from __future__ import annotations

import numpy as np

from unetplus_bench.conversions import Segmented, differences


def drawn(*boxes: tuple[int, int, int, int], probability: float = 0.9) -> Segmented:
    labels = np.zeros((40, 50), np.int32)
    for number, (top, left, height, width) in enumerate(boxes, start=1):
        labels[top : top + height, left : left + width] = number
    return Segmented(labels, np.where(labels > 0, probability, 0.1).astype(np.float32))


def test_the_same_objects_differ_in_nothing() -> None:
    one = drawn((2, 3, 10, 10), (20, 20, 8, 8))
    assert differences(one, drawn((20, 20, 8, 8), (2, 3, 10, 10), probability=0.7)) == []


def test_an_object_that_one_has_is_told_with_place_area_and_probabilities() -> None:
    keras, conversion = drawn((2, 3, 10, 10), (20, 21, 4, 6)), drawn((2, 3, 10, 10))
    (told,) = differences(keras, conversion)
    assert told == {
        "only_in": "keras",
        "row": 21.5,
        "column": 23.5,
        "area": 24,
        "probability_here": 0.9,
        "probability_there": 0.1,
    }
    (told,) = differences(conversion, keras)
    assert told["only_in"] == "conversion"


def test_two_that_became_one_are_told_with_it() -> None:
    apart, merged = drawn((0, 0, 10, 10), (0, 12, 10, 10)), drawn((0, 0, 10, 22))
    told = differences(apart, merged)
    assert [(one["only_in"], one["area"]) for one in told] == [
        ("keras", 100),
        ("keras", 100),
        ("conversion", 220),
    ]
