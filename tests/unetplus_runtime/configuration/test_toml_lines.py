from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetplus_runtime.configuration.toml_lines import line_numbers
from unetplus_runtime.configuration.toml_text import toml_value

TEXT = '''\
# a comment, and after it nothing

pixel_size = 0.5
[camera] # "not" a field = 1
camera = "simulated"
"rate" = 10
loop = """
[record]
labels = true
"""
  faults = [
    {kind = "crash"},

    # in between
    {kind = "hang", frame = 3},
  ]
seed = 1
[model]
  bundle = 'a#b'
[retention]
max_age.days = 1
'''


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("pixel_size",), 3),
        (("camera",), 4),
        (("camera", "camera"), 5),
        (("camera", "rate"), 6),
        (("camera", "loop"), 7),
        (("camera", "faults"), 11),
        (("camera", "faults", 1, "kind"), 11),
        (("camera", "seed"), 17),
        (("model", "bundle"), 19),
        (("retention", "max_age", "days"), 21),
    ],
)
def test_a_field_is_where_it_begins(path: tuple[str | int, ...], line: int, newline: str) -> None:
    assert line_numbers(TEXT.replace("\n", newline))[path] == line


def test_what_only_looks_like_a_field_is_none() -> None:
    found = line_numbers(TEXT)
    assert not {("record",), ("record", "labels"), ("labels",), ("not",), ("camera", "labels")} & set(found)


def test_tables_of_a_list_are_numbered() -> None:
    text = "[[a]]\nx = 1\n[[a.b]]\ny = 1\n[[a.b]]\ny = 2\n[[a]]\n[[a.b]]\ny = 3\n[a.c]\nz = 1"
    found = line_numbers(text)
    assert (found["a",], found["a", 0], found["a", 1]) == (1, 1, 7)
    assert [found[path] for path in [("a", 0, "b", 0, "y"), ("a", 0, "b", 1, "y"), ("a", 1, "b", 0, "y")]] == [4, 6, 9]
    assert found["a", 1, "c", "z"] == 11


NAMES = st.text("abcdefg", min_size=1, max_size=3)
VALUES = st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=8), st.lists(st.integers(0, 9), max_size=3))


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=4), st.data())
def test_fields_of_any_file_are_found(tree: dict[str, dict[str, object]], data: st.DataObject) -> None:
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    for section, fields in tree.items():
        lines += [""] * data.draw(st.integers(0, 2))
        lines.append(f"[{section}]")
        expected[section,] = len(lines)
        for name, value in fields.items():
            lines += ["# x = 1"] * data.draw(st.integers(0, 1))
            lines.append(f"{name} = {toml_value(value)}")
            expected[section, name] = len(lines)
    found = line_numbers("\n".join(lines))
    assert {path: line for path, line in found.items() if not isinstance(path[-1], int)} == expected
