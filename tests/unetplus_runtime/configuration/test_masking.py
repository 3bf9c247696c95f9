from __future__ import annotations

import pytest

from unetplus_runtime.configuration.masking import is_masked, masked, with_hashed_secrets, without_secrets


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://ada:secret@10.0.0.7:554/live", "rtsp://***@10.0.0.7:554/live"),
        ("rtsp://secret@host/live", "rtsp://***@host/live"),
        ("rtsp://ada:se@cr?et/x@host/live", "rtsp://***@host/live"),
        ("opencv:rtsp://ada:secret@host", "opencv:rtsp://***@host"),
        ("http://host/v.cgi?user=ada&password=secret", "http://host/v.cgi?***"),
        ("http://host/v.mjpg", "http://host/v.mjpg"),
        ("/images/a@b?c", "/images/a@b?c"),
    ],
)
def test_secrets_of_a_url_are_left_out(url: str, expected: str) -> None:
    assert masked(url) == expected
    assert is_masked(masked(url)) == (url != expected)


def test_secrets_are_left_out_wherever_they_are() -> None:
    tree = {"a": ["rtsp://u:p@h", {"b": "rtsp://u:p@h"}], "n": 1}
    assert without_secrets(tree) == {"a": ["rtsp://***@h", {"b": "rtsp://***@h"}], "n": 1}


def test_a_hash_stands_for_the_secret_only() -> None:
    one, other = with_hashed_secrets(["rtsp://u:p@h", "rtsp://u:q@h"])
    assert one != other
    assert one.startswith("rtsp://***@h#sha256=")
    assert with_hashed_secrets({"path": "/images"}) == {"path": "/images"}
