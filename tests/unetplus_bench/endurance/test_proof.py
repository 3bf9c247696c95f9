from __future__ import annotations

from unetplus_bench.endurance.proof import Proof


def test_a_proof_without_a_claim_proves_nothing() -> None:
    assert not Proof().holds


def test_one_failure_among_many_looks_is_a_failure() -> None:
    proof = Proof()
    for number in range(100):
        assert proof.claim("small", number != 50, number) is (number != 50)
    assert not proof.holds
    assert proof.claims["small"].examples == ["50"]


def test_observed_figures_are_summed_up() -> None:
    proof = Proof()
    for value in range(1, 101):
        proof.observe("seconds", float(value))
        proof.count("frames")
    assert proof.holds is False
    expected = {"count": 100, "least": 1.0, "p50": 50.0, "p99": 99.0, "most": 100.0}
    assert proof.summed_up() == {"seconds": expected, "frames": 100}
