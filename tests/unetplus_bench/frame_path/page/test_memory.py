from __future__ import annotations

from typing import Any

from unetplus_bench.frame_path.page.memory import blocks, steady


def test_blocks_show_the_peak_of_every_size(made_results: Any) -> None:
    text = blocks(made_results())
    assert "| 4096 x 4096 | 512.0 MiB |\n| 8192 x 8192 | 640.0 MiB |" in text
    assert "Blocks of 2048 x 2048 pixels. The greatest peak is 25.0 % above the least." in text


def test_a_size_that_failed_says_why(made_results: Any) -> None:
    failed = {"block": 2048, "peak_memory": {"4096": "killed | by the system"}, "spread": None}
    text = blocks(made_results(path={"blocks": failed}))
    assert "| 4096 x 4096 | killed \\| by the system |" in text
    assert "greatest" not in text


def test_what_a_frame_allocates_stands_beside_the_frame_and_its_result(made_results: Any) -> None:
    text = steady(made_results())
    assert "| 1024 x 1024, in the steady state | memory |" in text
    assert "| a float32 frame of that size | 4.0 MiB |" in text
    assert "| the arrays of the result, which belong to the caller | 8.0 MiB |" in text
    assert "| most that was allocated beyond them, by Python and NumPy | 1.0 MiB |" in text
    assert "| pages that the system gave during a frame, median, the result's among them | 2.0 MiB |" in text


def test_a_long_stream_shows_its_first_and_last_memory_and_the_growth(made_results: Any) -> None:
    text = steady(made_results())
    assert "| 10,000 frames of 256 x 256, streamed | resident memory |" in text
    assert "| at first | 256.0 MiB |\n| median | 258.0 MiB |\n| at last | 260.0 MiB |" in text
    assert "| +1.56 % |" in text
