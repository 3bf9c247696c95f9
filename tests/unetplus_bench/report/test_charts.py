"""What charts are drawn with: axes, the Pareto front, labels."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetplus_bench.report.axes import Axis
from unetplus_bench.report.chart_scatter import Point, pareto_front
from unetplus_bench.report.charts import varying_label
from unetplus_bench.results import NetworkRecord, Row

WHOLE = st.integers(1, 6)


def a_row(name="row", **facts):
    return Row(**{"name": name, "scope": "net", "engine": "litert", **facts})


@given(st.lists(st.tuples(WHOLE, WHOLE), max_size=12))
def test_the_front_holds_every_point_that_none_is_better_than(places):
    points = [Point(a_row(str(index)), x, y) for index, (x, y) in enumerate(places)]

    def better(one, other):
        return one.x <= other.x and one.y >= other.y and (one.x, one.y) != (other.x, other.y)

    best = {(point.x, point.y) for point in points if not any(better(other, point) for other in points)}
    front = pareto_front(points)
    assert {(point.x, point.y) for point in front} == best
    assert len(front) == len(best)


def test_a_row_that_is_not_verified_is_not_on_the_front():
    fast = Point(a_row(verified=False), 1.0, 1.0)
    slow = Point(a_row(verified=True), 2.0, 0.5)
    assert pareto_front([fast, slow]) == [slow]


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=5), st.booleans())
def test_everything_on_an_axis_lies_inside_it_in_order(values, logarithmic):
    axis = Axis.around(values, 10, 200, logarithmic=logarithmic)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert 10 < places[0] <= places[-1] < 200
    assert all(10 - 1e-6 <= axis.at(tick) <= 200 + 1e-6 for tick in axis.ticks())


@given(st.floats(1e-3, 1e6), st.floats(1, 1e6), st.booleans())
def test_an_axis_has_ticks(low, factor, logarithmic):
    ticks = Axis.around([low, low * factor], 0, 1, logarithmic=logarithmic).ticks()
    assert 1 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))


def test_equal_ratios_are_equally_far_apart_on_a_logarithmic_axis():
    axis = Axis(1, 100, 0, 50, logarithmic=True)
    assert [axis.at(value) for value in (1, 10, 100)] == pytest.approx([0, 25, 50])
    assert axis.at(math.sqrt(10)) == pytest.approx(12.5)


def test_a_label_says_what_differs_and_no_more():
    network = NetworkRecord(name="unet_b8", base_filters=8)
    fp32 = a_row(stored_precision="fp32", executed_precision="fp32", network=network, threads=2)
    int8 = a_row(stored_precision="int8", executed_precision="int8", network=network, threads=2)
    wide = int8.model_copy(update={"network": NetworkRecord(name="unet_b16", base_filters=16)})
    assert varying_label(fp32, [fp32, fp32]) == "litert"
    assert varying_label(int8, [fp32, int8]) == "litert int8"
    assert varying_label(wide, [fp32, int8, wide]) == "litert int8 B=16"
