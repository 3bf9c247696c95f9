from __future__ import annotations

import json
from pathlib import Path

import pytest

from unetplus_bench import documents
from unetplus_bench.report.page import MACHINE, committed_report

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", documents.pages(ROOT), ids=lambda page: page.name)
def test_pages_hold_the_numbers_of_the_committed_result_files(page: Path) -> None:
    text = page.read_text()
    assert documents.rendered(text, ROOT / "benchmarks" / "results") == text, "run `make documents`"


def test_the_committed_report_is_that_of_the_committed_result_files(tmp_path: Path) -> None:
    results = ROOT / "benchmarks" / "results"
    for made in committed_report(results, tmp_path):
        assert made.read_text() == (results / MACHINE / "report" / made.name).read_text(), "run `make documents`"


def test_a_changed_result_changes_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "scores" / "validation-litert"
    folder.mkdir(parents=True)
    (folder / "scores.json").write_text(json.dumps({"error_causes": {"merged": 7, "missed": 2}}))
    page = "Before\n<!-- numbers: error-causes -->\nold\n<!-- /numbers -->\nafter 3 words\n"
    assert documents.rendered(page, tmp_path) == (
        "Before\n<!-- numbers: error-causes -->\n| cause | nuclei |\n| --- | ---: |\n| merged | 7 |\n| missed | 2 |\n"
        "<!-- /numbers -->\nafter 3 words\n"
    )


def test_a_block_without_a_renderer_is_an_error() -> None:
    with pytest.raises(KeyError, match="speeds"):
        documents.rendered("<!-- numbers: speeds -->\n<!-- /numbers -->", Path())
