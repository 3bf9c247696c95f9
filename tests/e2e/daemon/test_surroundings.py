"""Files, disks, models, settings and clocks that are not as they should be, and a folder where all is well."""

from __future__ import annotations

from typing import Any

from unetplus_bench.endurance.clock import clock
from unetplus_bench.endurance.counts import counts
from unetplus_bench.endurance.disk import disk
from unetplus_bench.endurance.files import files
from unetplus_bench.endurance.models import models
from unetplus_bench.endurance.settings import reload


def test_serve_counts_as_segment_does(play: Any) -> None:
    assert play(counts, 4)["nuclei"] > 0


def test_broken_files_do_not_disturb_sound_ones(play: Any) -> None:
    assert play(files, 6)["broken files"] > 0


def test_counting_goes_on_while_the_disk_is_full(play: Any) -> None:
    play(disk, 1)


def test_a_damaged_model_does_not_replace_the_one_at_work(play: Any) -> None:
    assert play(models, 8)["sound models taken"] > 0


def test_settings_are_loaded_between_two_frames_or_not_at_all(play: Any) -> None:
    play(reload, 3)


def test_a_clock_that_is_set_back_disturbs_neither_order_nor_retention(play: Any) -> None:
    assert play(clock, 3)["times that a record is older than the one before it, by the wall clock"] > 0
