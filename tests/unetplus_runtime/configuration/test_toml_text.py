from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from unetplus_runtime.configuration.toml_text import toml_value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS)
VALUES = st.recursive(SCALARS, lambda inside: st.one_of(st.lists(inside), st.dictionaries(TEXTS, inside)), max_leaves=8)


@given(VALUES)
def test_any_value_can_be_read_again(value: object) -> None:
    assert tomllib.loads(f"value = {toml_value(value)}")["value"] == value


def test_nothing_and_paths_are_text() -> None:
    assert tomllib.loads(f"a = {toml_value(None)}\nb = {toml_value(Path('/x'))}") == {"a": "none", "b": "/x"}
