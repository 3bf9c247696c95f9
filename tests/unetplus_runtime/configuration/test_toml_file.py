from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unetplus_edge.errors import ConfigurationError
from unetplus_runtime.configuration.toml_file import read_toml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[camera]\nrate = \n", ":2: is no TOML"),
        (b"[camera]\nrate = [1,\n\n", ":2: is no TOML"),
        (b"a = 1\n\na = 2\n", ":3: is no TOML"),
        (b"\n\nname = '\xff'\n", ":3: is not UTF-8"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"#" * (1 << 20) + b"\n", "larger than"),
    ],
    ids=["value", "end", "twice", "latin", "deep", "large"],
)
def test_what_is_no_toml_is_refused_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "unetplus.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_toml(file)
    assert str(caught.value).startswith(str(file))
    assert said in str(caught.value)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("name", ["missing.toml", "", "nul\0.toml"], ids=["missing", "folder", "nul"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_toml(tmp_path / name)


def test_a_mark_at_the_beginning_and_line_ends_of_windows_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "unetplus.toml"
    file.write_bytes(b"\xef\xbb\xbfa = 1\r\n[b]\r\nc = 2\r\n")
    table, lines = read_toml(file)
    assert table == {"a": 1, "b": {"c": 2}}
    assert lines == {("a",): 1, ("b",): 2, ("b", "c"): 3}
