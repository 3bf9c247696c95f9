from __future__ import annotations

from pathlib import Path
from typing import Any

from unetplus_bench import documents
from unetplus_bench.endurance import page

ROOT = Path(__file__).parents[3]

_MARK = "<!-- numbers: endurance -->"


def test_the_readme_has_the_block_if_there_is_a_result() -> None:
    is_measured = (ROOT / "benchmarks" / "results" / page.FILE).is_file()
    assert (_MARK in (ROOT / "README.md").read_text()) is is_measured


def test_the_block_says_what_was_done_how_often_and_how_often_it_failed(checkout: Any) -> None:
    text = documents.rendered(f"{_MARK}\n<!-- /numbers -->", checkout())
    assert "Made-up CPU, 2 cores:" in text
    assert "| `kill -9` of the daemon | 50 | 1,500 | 1,250 | 2 | 1.5 |" in text
    assert "python -m unetplus_bench.endurance --out here.json" in text


def test_the_block_has_the_figures_of_the_soak_alone(checkout: Any) -> None:
    text = page.summary(checkout())
    assert "20 minutes at the highest rate that this machine holds (3 checks, 0 failed):" in text
    assert "| latency, seconds | 4,000 times | 0.25 | 0.5 | 0.75 |" in text
    assert "| dropped | newest\\_only: 3 |" in text
    assert "killed while starting" not in text


def test_a_part_that_was_not_finished_says_why(checkout: Any) -> None:
    text = page.summary(checkout(error="the daemon has ended"))
    assert "| 2; not finished: the daemon has ended |" in text


def test_every_claim_is_listed_with_its_part(checkout: Any) -> None:
    text = page.claims(checkout())
    assert "| nothing \\| is lost | kill | 1,200 | 0 |" in text
    assert "| no process is left | kill | 50 | 2 |" in text


def test_figures_of_all_parts_can_be_shown(checkout: Any) -> None:
    text = page.figures(checkout())
    assert "| killed while starting | 9 |" in text
    assert "| latency, seconds |" in text


def test_a_result_of_the_runtime_that_is_there_is_up_to_date(checkout: Any) -> None:
    assert "changed after that" not in page.summary(checkout())


def test_a_result_says_that_the_runtime_was_changed_after_it(checkout: Any) -> None:
    results = checkout()
    (results.parents[1] / "runtime" / "unetplus_runtime" / "b.py").touch()
    assert page.summary(results).startswith("> Measured with commit 0123456789ab: kill, soak. `runtime/` was changed")


def test_parts_that_were_measured_again_are_not_out_of_date(checkout: Any) -> None:
    text = page.summary(checkout(runtime="0" * 64, commit=None))
    assert text.startswith("> Measured with other code: kill. `runtime/` was changed")
