from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetplus_edge.evaluation import ErrorCauses, error_causes, score_image


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        ("1112220", "1112220", ErrorCauses(0, 0, 0, 0, 0)),
        ("1110222", "5555555", ErrorCauses(2, 0, 0, 0, 0)),
        ("1111111", "1110222", ErrorCauses(0, 1, 0, 0, 0)),
        ("1110000", "0000000", ErrorCauses(0, 0, 1, 0, 0)),
        ("0000000", "0330044", ErrorCauses(0, 0, 0, 0, 2)),
        ("1111111", "3000000", ErrorCauses(0, 0, 0, 1, 0)),
        # A large nucleus is matched by what also swallowed its small neighbour: only that one is merged.
        ("1111112", "3333333", ErrorCauses(1, 0, 0, 0, 0)),
        ("1110033", "0011133", ErrorCauses(0, 0, 0, 1, 0)),
    ],
)
def test_each_cause_is_told_from_the_others(truth: str, prediction: str, expected: ErrorCauses) -> None:
    rows = [np.array([list(map(int, text))]) for text in (truth, prediction)]
    assert error_causes(*rows) == expected


@given(st.integers(0, 2**32 - 1))
def test_causes_count_every_unmatched_true_nucleus_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = (np.repeat(rng.integers(0, 5, (4, 6)), 2, axis=1) for _ in range(2))
    causes = error_causes(truth, prediction)
    assert (
        causes.merged + causes.split + causes.missed + causes.outline
        == score_image(truth, prediction).false_negatives_50
    )


def test_causes_of_a_set_are_sums() -> None:
    assert ErrorCauses(1, 2, 3, 4, 5) + ErrorCauses(5, 4, 3, 2, 1) == ErrorCauses(6, 6, 6, 6, 6)
