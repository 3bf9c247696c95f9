from __future__ import annotations

from typing import Any

from unetplus_bench.frame_path.page.path import nuclei, sizes, stages


def test_the_path_stands_beside_the_best_of_its_engine_and_the_straightforward_way(made_results: Any) -> None:
    text = stages(made_results())
    assert "| engine alone: all patches at once | 80.0 | 1 (its best) | - |" in text
    assert "| engine alone: threads share each patch | 100.0 | - | - |" in text
    assert "| the path: a frame by itself | 104.0 | 1.30 | 5.75 |" in text
    assert "| the path: a frame of a stream | 88.0 | 1.10 | 6.75 |" in text
    assert "| straightforward | 600.0 | - | - |" in text


def test_stages_have_their_share_of_all_stages(made_results: Any) -> None:
    text = stages(made_results())
    assert "| preprocess | 24.00 | 25.0 % |\n| engine | 72.00 | 75.0 % |" in text
    assert "2 threads, 30 rounds" in text


def test_each_file_of_the_path_has_its_tables(made_results: Any) -> None:
    text = stages(made_results())
    assert [text.count(f"| `{file}`, a frame of 1024 x 1024 |") for file in ("model_int8.xml", "model_fp32.xml")] == [
        2,
        1,
    ]
    assert [
        text.count(f"\n{machine}, 2 cores, 2 threads, 30 rounds;") for machine in ("Made-up CPU", "Another CPU")
    ] == [2, 1]
    assert text.count("| the path: a frame by itself |") == 3


def test_nuclei_are_counted_beside_those_of_the_straightforward_way(made_results: Any) -> None:
    lines = nuclei(made_results()).splitlines()
    assert lines[2:] == [
        "| straightforward | 3,000 | - | 0.4400 | - |",
        "| openvino int8 | 2,999 | 49 of 53 | 0.4350 | -0.0050 |",
        "| openvino fp32 | 3,000 | 50 of 53 | 0.4401 | +0.0001 |",
    ]


def test_sizes_have_the_time_of_a_pixel_and_of_a_frame(made_results: Any) -> None:
    text = sizes(made_results())
    assert "| 256 x 256 | 150.0 | 9.8 |" in text
    assert "| 8192 x 8192 | 108.0 | 7,247.8 |" in text
    assert "the slowest takes 8.0 % more a pixel than the fastest" in text
    assert "Of the 9.83 ms of a frame of 256 x 256, 3.01 ms are beyond" in text


def test_without_large_frames_nothing_is_said_of_their_spread(made_results: Any) -> None:
    few = {
        "rounds": 1,
        "ns_per_pixel": {"256": 150.0},
        "spread_of_2048_and_more": None,
        "smallest_ms": 9.8,
        "fixed_ms_of_the_smallest": 0.0,
    }
    assert "2048" not in sizes(made_results(path={"sizes": few}))
