"""Total-variation denoising, against scikit-image's and against itself in plain NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.restoration import denoise_tv_chambolle

import unetplus_edge.imaging.tv as tv_module
from unetplus_edge.imaging.tv import denoise, denoise_numpy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_edge.imaging.tv import Scheme

    Kernel = Callable[..., NDArray[np.float32]]

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")

_IMAGES = arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    elements=st.floats(0, 1, width=32),
)
_WEIGHTS = st.floats(0.001, 2)
_SCHEMES = st.sampled_from(["chambolle", "primal_dual"])


@pytest.fixture(params=["numpy", pytest.param("numba", marks=needs_numba)])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    if request.param == "numpy":
        return denoise_numpy
    from unetplus_edge.imaging.kernels_numba import denoise_numba

    return denoise_numba


def _noisy_nuclei(shape: tuple[int, int]) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    y, x = np.indices(shape)
    image = np.full(shape, 0.1)
    for row in range(20, shape[0], 40):
        for column in range(20, shape[1], 40):
            image[(y - row) ** 2 + (x - column) ** 2 < 100] = rng.uniform(0.4, 0.9)
    return np.clip(image + rng.normal(0, 0.05, shape), 0, 1).astype(np.float32)


@needs_numba
@settings(deadline=None)
@given(image=_IMAGES, weight=_WEIGHTS, iterations=st.integers(1, 40), scheme=_SCHEMES)
def test_both_kernels_agree(image: NDArray[np.float32], weight: float, iterations: int, scheme: Scheme) -> None:
    from unetplus_edge.imaging.kernels_numba import denoise_numba

    compiled, plain = (make(image, weight, iterations, scheme) for make in (denoise_numba, denoise_numpy))
    np.testing.assert_allclose(compiled, plain, atol=1e-6 if scheme == "chambolle" else 1e-5)


@pytest.mark.parametrize("shape", [(64, 64), (5, 200), (200, 5), (33, 47), (2, 2)])
@pytest.mark.parametrize(("weight", "iterations"), [(0.05, 30), (0.2, 7), (0.01, 1)])
def test_the_result_is_scikit_image_s_after_as_many_iterations(
    kernel: Kernel, shape: tuple[int, int], weight: float, iterations: int
) -> None:
    # scikit-image's first iteration starts from a dual field of zeros and so changes nothing.
    image = _noisy_nuclei(shape)
    expected = denoise_tv_chambolle(image, weight=weight, eps=0, max_num_iter=iterations + 1)
    np.testing.assert_allclose(kernel(image, weight, iterations), expected, atol=1e-5)


def test_thirty_iterations_come_close_to_the_converged_solution(kernel: Kernel) -> None:
    image = _noisy_nuclei((120, 120))
    converged = denoise_tv_chambolle(image, weight=0.05, eps=0, max_num_iter=3000)
    before = np.abs(image - converged).mean()
    distance = np.abs(kernel(image, 0.05, 30) - converged)
    assert distance.mean() < 0.006
    assert distance.mean() < before / 5


def _objective(image: NDArray[np.float32], denoised: NDArray[np.float32], weight: float) -> float:
    u = denoised.astype(np.float64)
    down, right = np.diff(u, axis=0, append=u[-1:]), np.diff(u, axis=1, append=u[:, -1:])
    return float(((u - image) ** 2).sum() / 2 + weight * np.hypot(down, right).sum())


@pytest.mark.parametrize("scheme", ["chambolle", "primal_dual"])
def test_more_iterations_come_closer_and_lower_the_objective(kernel: Kernel, scheme: Scheme) -> None:
    image = _noisy_nuclei((60, 60))
    denoised = [kernel(image, 0.05, iterations, scheme) for iterations in (1, 3, 10, 30, 100)]
    values = [_objective(image, each, 0.05) for each in denoised]
    assert values == sorted(values, reverse=True)
    assert values[0] < _objective(image, image, 0.05)


@pytest.mark.parametrize("shape", [(64, 64), (5, 200), (200, 5), (33, 47), (2, 2), (1, 9)])
@pytest.mark.parametrize("weight", [0.05, 0.3])
def test_the_primal_dual_scheme_converges_to_the_same_solution(
    kernel: Kernel, shape: tuple[int, int], weight: float
) -> None:
    image = _noisy_nuclei(shape)
    chambolle = denoise_tv_chambolle(image.astype(np.float64), weight=weight, eps=0, max_num_iter=5000)
    primal_dual = kernel(image, weight, 1500, "primal_dual")
    assert np.abs(primal_dual - chambolle).mean() < 1e-3
    assert _objective(image, primal_dual, weight) <= _objective(image, chambolle, weight) * (1 + 1e-4)


def test_twelve_iterations_of_the_primal_dual_scheme_come_about_as_near_as_thirty(kernel: Kernel) -> None:
    image = _noisy_nuclei((120, 120))
    converged = kernel(image, 0.05, 1500, "primal_dual")
    near, nearer = (
        np.abs(kernel(image, 0.05, number, scheme) - converged).mean()
        for number, scheme in ((30, "chambolle"), (12, "primal_dual"))
    )
    assert nearer < 1.1 * near


@pytest.mark.parametrize("pattern", ["checkerboard", "noise", "edge"])
def test_the_primal_dual_scheme_stays_bounded(kernel: Kernel, pattern: str) -> None:
    y, x = np.indices((40, 50))
    noise = np.random.default_rng(0).integers(0, 2, (40, 50))
    image = {"checkerboard": (y + x) % 2, "noise": noise, "edge": x // 25}[pattern].astype(np.float32)
    for weight in (0.001, 0.05, 1.0):
        for iterations in (5, 12, 400):
            denoised = kernel(image, weight, iterations, "primal_dual")
            assert -0.3 < denoised.min() <= denoised.max() < 1.3
        assert _objective(image, denoised, weight) < _objective(image, image, weight) * 1.001


@settings(deadline=None)
@given(data=st.data(), image=_IMAGES, weight=_WEIGHTS, iterations=st.integers(1, 8), scheme=_SCHEMES)
@pytest.mark.parametrize("name", ["numpy", pytest.param("numba", marks=needs_numba)])
def test_a_pixel_further_away_than_iterations_changes_nothing(
    name: str, data: st.DataObject, image: NDArray[np.float32], weight: float, iterations: int, scheme: Scheme
) -> None:
    kernel = denoise_numpy if name == "numpy" else denoise
    row, column = (data.draw(st.integers(0, length - 1)) for length in image.shape)
    changed = image.copy()
    changed[row, column] = 1 - changed[row, column]
    y, x = np.indices(image.shape)
    far = np.maximum(np.abs(y - row), np.abs(x - column)) > iterations
    before, after = (kernel(each, weight, iterations, scheme) for each in (image, changed))
    np.testing.assert_array_equal(before[far], after[far])


def test_a_pixel_as_far_away_as_iterations_does_count(kernel: Kernel) -> None:
    # So a smaller halo would not do.
    image = np.linspace(0, 1, 41, dtype=np.float32)[None].repeat(3, axis=0)
    changed = image.copy()
    changed[1, 20] = 0
    differs = (kernel(image, 1.0, 5) != kernel(changed, 1.0, 5)).any(axis=0)
    assert differs[20 - 5] or differs[20 + 5]


def test_the_mean_stays_and_the_range_never_grows(kernel: Kernel) -> None:
    image = np.random.default_rng(0).integers(0, 2, (50, 60)).astype(np.float32)
    for weight in (0.01, 0.3, 10.0):
        denoised = kernel(image, weight, 25)
        assert denoised.mean() == pytest.approx(image.mean(), abs=1e-5)
        assert denoised.min() >= 0
        assert denoised.max() <= 1
        assert denoised.std() < image.std()


@pytest.mark.parametrize(("weight", "iterations"), [(0, 30), (0.05, 0)])
def test_without_weight_or_iterations_the_image_comes_back(weight: float, iterations: int) -> None:
    image = _noisy_nuclei((20, 20))
    np.testing.assert_array_equal(denoise(image, weight, iterations), image)


def test_a_constant_image_stays(kernel: Kernel) -> None:
    image = np.full((9, 7), 0.3, np.float32)
    np.testing.assert_array_equal(kernel(image, 0.5, 20), image)


def test_the_input_is_left_alone(kernel: Kernel) -> None:
    image = _noisy_nuclei((20, 30))
    before = image.copy()
    kernel(image, 0.1, 10)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("view", [np.s_[::2, ::3], np.s_[::-1, ::-1], np.s_[:, 5:20]])
def test_a_view_is_denoised_as_its_copy(view: tuple[slice, slice]) -> None:
    image = _noisy_nuclei((40, 60))
    np.testing.assert_array_equal(denoise(image[view], 0.05, 10), denoise(image[view].copy(), 0.05, 10))


_WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import numpy as np
from unetplus_edge.imaging.tv import denoise
np.save(sys.argv[2], denoise(np.load(sys.argv[1]), 0.05, 30))
"""


def test_the_same_answer_comes_without_numba(tmp_path: Path) -> None:
    image = _noisy_nuclei((40, 40))
    np.save(tmp_path / "image.npy", image)
    arguments = [str(tmp_path / "image.npy"), str(tmp_path / "denoised.npy")]
    subprocess.run([sys.executable, "-c", _WITHOUT_NUMBA, *arguments], check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "denoised.npy"), denoise(image, 0.05, 30), atol=1e-6)


_NOWHERE_TO_WRITE = """
import sys
from pathlib import Path
import numpy as np
kernel = {"__name__": "installed"}
exec(compile(Path(sys.argv[1]).read_text(), "/dev/null/unetplus_edge/imaging/kernels_numba.py", "exec"), kernel)
print(kernel["denoise_numba"](np.eye(5, dtype=np.float32), 0.1, 3).shape)
"""


@needs_numba
def test_a_service_without_a_place_to_keep_compiled_code_still_runs() -> None:
    # As for a system user without a home, with the package where that user may not write.
    source = Path(tv_module.__file__).with_name("kernels_numba.py")
    homeless = os.environ | {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache"}
    homeless.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", _NOWHERE_TO_WRITE, str(source)],
        env=homeless,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(5, 5)\n"
