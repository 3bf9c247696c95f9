"""Reports: what they say, what they must never say, and that nothing in a result becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from unetplus_bench.article_figures import ARTICLE_FIGURES
from unetplus_bench.report.command import report
from unetplus_bench.report.contents import measurement_of, measurements_of, write_report
from unetplus_bench.report.html import html_report
from unetplus_bench.report.markdown import markdown_report
from unetplus_bench.results import BenchmarkResult, NetworkRecord, Row
from unetplus_bench.statistics import median_ms
from unetplus_edge.errors import InputError, OutputError

VOID = {"meta", "br", "link", "img"}
HOSTILE = """<script>alert(1)</script><img src=x onerror=y>"'|*_`[a](http://b)\n# c\u202e"""


class Page(HTMLParser):
    """All tags with their attributes, the text of every table cell, and whether tags are nested well."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.tables, self.open, self.well_nested, self.text = [], [], [], True, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        self.well_nested &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and ({"td", "th"} & set(self.open)):
            self.tables[-1][-1][-1] += data

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def pages_of(*results):
    measurements = [measurement_of(f"{number}.json", result) for number, result in enumerate(results)]
    return markdown_report(measurements), html_report(measurements)


def table_with(page, *titles):
    """Return the first table that has these columns, as a dict a row."""
    return next(
        [dict(zip(table[0], row, strict=True)) for row in table[1:]]
        for table in page.tables
        if set(titles) <= set(table[0])
    )


@pytest.fixture
def imported():
    """A log of trtexec, as a result."""
    network = NetworkRecord(name="unet_plus_tc_b8", base_filters=8)
    times = {"p50": 1.41, "p99": 1.6}
    row = Row(name="net of a log", scope="net", engine="tensorrt", device="Orin", network=network, summary=times)
    return BenchmarkResult(
        command="import", began="then", ended="now", protocol="trtexec", device={"name": "A board"}, rows=(row,)
    )


@pytest.fixture
def staged(made_up):
    """A result with a row of frames."""
    stages = {"preprocess": 0.004, "network": 0.012, "measure": 0.002}
    frames = {"scope": "frame", "frame_shape": (512, 600), "stages": stages, "batch": 2}
    return made_up(1, rows={"litert int8": frames})


def test_every_row_stands_in_the_table_with_its_times_and_its_scores(made_up):
    result = made_up(1)
    rows = table_with(Page(pages_of(result)[1]), "p50, ms", "Kaggle score, validation")
    assert [row["row"] for row in rows] == [row.name for row in result.rows]
    for shown, row in zip(rows, result.rows, strict=True):
        assert shown["p50, ms"] == f"{median_ms(row):.2f}"
        assert shown["Kaggle score, validation"] == f"{row.accuracy[0].kaggle_score:.3f}"
        assert "Kaggle score, test" not in shown


def test_markdown_has_the_same_cells_as_the_page(made_up):
    markdown, html = pages_of(made_up(1))
    cells = [row for table in Page(html).tables for row in table]
    lines = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line.startswith("|")]
    plain = [[cell.replace("\\", "") for cell in line] for line in lines]
    for row in cells[:8]:
        assert row in plain


def test_a_row_without_scores_says_so(made_up):
    rows = table_with(Page(pages_of(made_up(1, rows={"litert int8": {"accuracy": ()}}))[1]), "p50, ms")
    assert [row["Kaggle score, validation"] == "not scored" for row in rows] == [False, False, True, *[False] * 4]


def test_times_of_which_none_is_scored_stand_beside_that(made_up):
    rows = {"litert int8": {"accuracy": ()}}
    (row,) = table_with(Page(pages_of(made_up(1, only=("litert int8",), rows=rows))[1]), "p50, ms")
    assert row["Kaggle score, validation"] == "not scored"


def test_the_ratio_to_keras_is_within_a_file(made_up):
    slow, fast = made_up(1), made_up(2, only=("litert int8", "openvino int8"))
    page = Page(pages_of(slow, fast)[1])
    speed = [table for table in page.tables if "p50, ms" in table[0]]
    assert "to Keras" in speed[0][0]
    assert "to Keras" not in speed[1][0]


def test_unsteady_times_and_the_files_warnings_are_prominent(made_up):
    steady = tuple(tuple([0.004] * 5) for _ in range(6))
    restless = (*steady[:-1], (0.004, 0.004, 0.004, 0.004, 0.04))
    result = made_up(
        1,
        only=("keras fp32", "litert int8"),
        rows={"keras fp32": {"rounds": steady}, "litert int8": {"rounds": restless}},
        warnings=("the governor saves power",),
    )
    markdown, html = pages_of(result)
    rows = table_with(Page(html), "variation")
    assert [row["variation"].startswith("⚠") for row in rows] == [False, True]
    for text in (markdown, Page(html).text):
        assert "the governor saves power" in text
        assert re.search(r"1 of 2 rows vary by more than 2.5 %", text)


def test_a_row_that_failed_says_why_and_has_no_times(made_up):
    failed = {"litert int8": {"rounds": None, "error": "no such file"}}
    _, html = pages_of(made_up(1, rows=failed))
    page = Page(html)
    assert "litert int8: no such file" in page.text
    assert "litert int8" not in [row["row"] for row in table_with(page, "p50, ms")]


def test_what_is_imported_is_marked(imported, made_up):
    markdown, html = pages_of(made_up(1), imported)
    assert markdown.count("imported from trtexec") == 1
    assert html.count(">imported from trtexec<") == 3
    assert "not measured by this project" in markdown
    rows = [table for table in Page(html).tables if "p50, ms" in table[0]][1]
    assert dict(zip(*rows, strict=True))["p50, ms"] == "1.41"


def test_the_articles_figures_are_drawn_apart_and_never_in_the_front(made_up):
    result = made_up(1)
    _, html = pages_of(result)
    places = [(median_ms(row), row.accuracy[0].kaggle_score) for row in result.rows]
    best = {
        place for place in places if not any(x <= place[0] and y >= place[1] and (x, y) != place for x, y in places)
    }
    front = re.search(r'<path d="([^"]*)" class="front">', html)
    assert front is not None
    assert front[1].count("V") == len(best) - 1
    assert html.count('class="article"') == len(ARTICLE_FIGURES)
    assert "The article (GTX 1080 Ti, FP32, Keras 2.2.4)" in html
    assert "not to be put into one ratio" in html


def test_stages_are_in_milliseconds_a_frame(staged):
    markdown, html = pages_of(staged)
    assert "| litert int8 | 2.00 | 6.00 | 1.00 |" in markdown
    assert "preprocess 2.0" in Page(html).text
    assert "9.0 ms in stages" in Page(html).text


def test_nothing_in_a_result_becomes_markup(made_up, staged):
    device = {HOSTILE: HOSTILE, "cpu": {"model": HOSTILE, "cores": {"usable": 2}}, "gpus": [{"name": HOSTILE}]}
    facts = {"name": HOSTILE, "library": HOSTILE, "device": HOSTILE, "engine": HOSTILE, "stored_precision": HOSTILE}
    rows = tuple(
        row.model_copy(
            update={
                **facts,
                "network": row.network.model_copy(update={"name": HOSTILE}),
                "stages": {HOSTILE: 0.1, "b": 0.1},
                "name": f"{row.name} {HOSTILE}",
            }
        )
        for row in staged.rows
    )
    hostile = staged.model_copy(
        update={"rows": rows, "device": device, "warnings": (HOSTILE,), "command": HOSTILE, "began": HOSTILE}
    )
    markdown, html = pages_of(hostile)
    plain, page = Page(pages_of(staged)[1]), Page(html)
    assert page.well_nested
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"div", "ul", "li"}
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert re.search(r"(?<!\\)\[a\]", markdown) is None
    assert "\n# c" not in markdown
    assert "\u202e" not in markdown + html
    assert "http://" not in markdown


def test_the_page_asks_for_nothing_from_elsewhere(made_up, imported):
    _, html = pages_of(made_up(1), imported)
    page = Page(html)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert re.search(r"url\(|@import|//", html.replace("<!DOCTYPE html>", "")) is None
    assert all(attributes.get("href", "#").startswith("#") for _, attributes in page.tags)
    (policy,) = [each["content"] for each in page.named("meta") if "http-equiv" in each]
    assert policy.startswith("default-src 'none'")


def test_the_page_can_be_read_without_seeing_it(made_up, staged):
    page = Page(pages_of(made_up(1), staged)[1])
    assert page.well_nested
    assert page.named("html")[0]["lang"] == "en"
    drawings = page.named("svg")
    assert len(drawings) >= 6
    assert all(len(drawing["aria-label"]) > 40 and drawing["role"] == "img" for drawing in drawings)
    assert len(page.named("caption")) == len(page.tables)
    assert all(head.get("scope") in {"row", "col"} for head in page.named("th"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_same_files_give_the_same_bytes(made_up, tmp_path):
    made_up(1).write(tmp_path / "a.json")
    files = [write_report(measurements_of([tmp_path / "a.json"]), tmp_path / name) for name in ("one", "two")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_a_row_of_a_single_time_can_be_drawn(made_up):
    one = {"rounds": ((0.01,),), "file_bytes": None, "network": None, "accuracy": ()}
    _, html = pages_of(made_up(1, only=("litert int8",), rows={"litert int8": one}))
    assert "10.00 ms" in html


def test_a_result_without_rows_is_a_page_too(made_up):
    markdown, html = pages_of(made_up(1, only=()))
    assert Page(html).well_nested
    assert "Made-up CPU, 2 cores" in markdown


def test_files_of_one_name_in_two_folders_are_told_apart(made_up, tmp_path):
    files = []
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "same.json")
        made_up(1, only=("litert int8",)).write(files[-1])
    assert [each.label for each in measurements_of(files)] == [str(file) for file in files]


def test_a_file_that_is_named_twice_is_refused(made_up, tmp_path):
    made_up(1, only=("litert int8",)).write(tmp_path / "a.json")
    with pytest.raises(InputError, match="named twice"):
        measurements_of([tmp_path / "a.json", tmp_path / "." / "a.json"])


def test_a_folder_that_cannot_be_made_is_an_error(made_up, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="name another folder"):
        write_report([measurement_of("a", made_up(1, only=("litert int8",)))], tmp_path / "out")


def test_the_command_writes_both_files_and_names_them(made_up, tmp_path):
    made_up(1, only=("litert int8",)).write(tmp_path / "a.json")
    result = CliRunner().invoke(report, [str(tmp_path / "a.json"), "--out", str(tmp_path / "r")])
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(tmp_path / "r" / name) for name in ("report.md", "report.html")]
    assert (tmp_path / "r" / "report.html").read_text().startswith("<!DOCTYPE html>")
