"""bioimage.io packages, tried with the community's own tool."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy import ndimage

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.conversion import Request

keras = pytest.importorskip("keras", reason="needs the export extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the export extra")
yaml = pytest.importorskip("ruyaml", reason="needs the export extra")
pytest.importorskip("bioimageio.core", reason="needs the export extra")


class Package:
    """A package, unpacked, the network that it is of, and what its conversion says."""

    def __init__(self, model, request, file, folder):
        from unetplus_export.bioimageio import convert_bioimageio

        self.model, self.request, self.file, self.folder = model, request, file, folder
        self.converted = convert_bioimageio(request, file)
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)

    @property
    def description(self):
        return yaml.YAML(typ="safe").load((self.folder / "rdf.yaml").read_text())

    def expected(self, patches):
        return keras.ops.convert_to_numpy(self.model(patches, training=False))


@pytest.fixture(scope="module")
def package(tmp_path_factory, make_network, make_bundle):
    folder = tmp_path_factory.mktemp("package")
    model = make_network(UNetPlus(base_filters=2, depth=2))
    request = Request(make_bundle(model, folder / "bundle"), "fp32", patch_side=32)
    return Package(model, request, folder / "model.zip", folder / "unpacked")


@pytest.mark.slow
def test_bioimageio_test_passes_without_a_network(package, tmp_path):
    # Every connection is sent to a port where nothing listens.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "KERAS_BACKEND": "tensorflow", "BIOIMAGEIO_CACHE_PATH": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "bioimageio.core",
        "test",
        str(package.file),
        "--summary",
        str(tmp_path / "s.json"),
    ]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary = (tmp_path / "s.json").read_text()
    assert '"status":"passed"' in summary.replace(" ", "")
    for weights in ("keras_v3", "onnx"):
        assert f"Reproduce test outputs from test inputs ({weights})" in summary
        assert f"Run {weights} inference for inputs with batch_size: 2" in summary


def test_the_test_tensors_are_a_simulated_patch_and_the_answer_of_keras(package):
    patches, answers = (np.load(package.folder / f"test_{name}.npy") for name in ("input", "output"))
    assert patches.dtype == answers.dtype == np.float32
    assert patches.shape == answers.shape == (1, 32, 32, 1)
    assert 0 <= patches.min() < patches.max() <= 1
    np.testing.assert_allclose(answers, package.expected(patches), atol=1e-6)


def test_both_weights_are_the_network_for_any_number_of_patches(package):
    patches = np.random.default_rng(0).random((3, 32, 32, 1), np.float32)
    session = onnxruntime.InferenceSession(package.folder / "model.onnx", providers=["CPUExecutionProvider"])
    (onnx_answers,) = session.run(["probability"], {"image": patches})
    np.testing.assert_allclose(onnx_answers, package.expected(patches), atol=1e-5)
    loaded = keras.models.load_model(package.folder / "model.keras")
    for weight, expected in zip(loaded.get_weights(), package.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_the_description_says_what_goes_in_and_what_comes_out(package):
    for kind, name in (("inputs", "image"), ("outputs", "probability")):
        (tensor,) = package.description[kind]
        assert tensor["id"] == name
        assert [axis["type"] for axis in tensor["axes"]] == ["batch", "space", "space", "channel"]
        assert "size" not in tensor["axes"][0], "any number of patches"
        assert [(axis["id"], axis["size"]) for axis in tensor["axes"][1:3]] == [("y", 32), ("x", 32)]
        assert tensor["data"] == {"type": "float32", "range": [0.0, 1.0]}


def test_the_description_names_licence_citation_and_data(package):
    found = package.description
    assert found["license"] == "BSD-3-Clause"
    assert found["authors"] == [{"name": "unetplus-edge developers"}]
    assert found["cite"][0]["doi"] == "10.1186/s12859-019-3332-1"
    assert any("unetplus-edge" in entry["text"] for entry in found["cite"])
    assert "BBBC038" in found["training_data"]["name"]
    assert found["format_version"].startswith("0.5.")
    assert found["config"]["bioimageio"]["model_parameter_count"] == package.model.count_params()


def test_nothing_in_the_description_has_to_be_looked_up(package):
    assert "://" not in (package.folder / "rdf.yaml").read_text()


def test_the_readme_says_how_the_input_is_made_and_how_the_model_was_validated(package):
    text = (package.folder / "README.md").read_text()
    constants = package.request.bundle.manifest.recipe.preprocessing
    assert f"weight {constants.tv_weight:g}, {constants.tv_iterations} iterations" in text
    assert f"tiles of {constants.clahe_tile} x {constants.clahe_tile} pixels" in text
    assert "## Validation" in text
    assert "No scores were measured" in text


def test_the_readme_has_the_scores_of_the_keras_model(package):
    from unetplus_edge.manifest import ScoreRecord
    from unetplus_export.bioimageio_readme import readme

    records = tuple(
        ScoreRecord(images=images, engine=engine, precision="fp32", scores={"average_iou_mean": score, "dice": None})
        for images, engine, score in (
            ("validation_images", "keras", 0.7128),
            ("test_images", "keras", 0.5),
            ("test_images", "litert", 0.1),
        )
    )
    text = readme(package.request.bundle.manifest.model_copy(update={"scores": records}), 32)
    assert "| score | validation images | test images |" in text
    assert "| average IOU | 0.713 | 0.500 |" in text
    assert "| pixel Dice | - | - |" in text


def test_the_readme_says_what_is_one_nucleus(package):
    from unetplus_edge.imaging import Postprocessing
    from unetplus_export.bioimageio_readme import readme

    def text(**constants):
        update = {"postprocessing": Postprocessing(**constants)}
        return readme(package.request.bundle.manifest.model_copy(update=update), 32)

    assert "connected (4 neighbours) is one nucleus" in text()
    parted, joined = text(core_threshold=0.97), text(core_threshold=0.97, join_border=1.3)
    assert "part above 0.97 of at least 20 pixels" in parted
    assert "the diameter" not in parted
    assert "longer than 1.3 times the diameter of the smaller one" in joined


@pytest.mark.parametrize("nucleus", [False, True], ids=["noise alone", "a nucleus"])
def test_who_scales_an_image_as_the_readme_says_gets_what_the_package_computes(package, nucleus):
    from unetplus_edge.imaging import Preprocessing, preprocess
    from unetplus_export.bioimageio_readme import readme

    manifest = package.request.bundle.manifest
    constants = Preprocessing(clahe_tile=32, clahe_clip=3, tv_weight=0)
    recipe = manifest.recipe.model_copy(update={"preprocessing": constants})
    text = " ".join(readme(manifest.model_copy(update={"recipe": recipe}), 32).split())
    span = int(re.search(r"less than (\d+) times that above low, it is raised to that", text)[1])
    highest = int(re.search(r"Low becomes 0 and high (\d+), everything is rounded to one of these 256 codes", text)[1])
    image = np.random.default_rng(3).normal(500, 10, (96, 128)).astype(np.uint16)
    if nucleus:
        image[40:60, 40:60] += 2000

    smooth = ndimage.median_filter(image, 3, mode="nearest")
    low, high = float(smooth.min()), float(smooth.max())
    clipped = np.clip(image.astype(float), low, high)
    differences = [np.abs(np.diff(clipped, axis=axis)).ravel() for axis in (0, 1)]
    noise = np.concatenate(differences).mean() * np.sqrt(np.pi) / 2
    assert (high - low > span * noise) == nucleus
    high = max(high, low + span * noise)
    codes = np.rint(highest * np.clip((image - low) / (high - low), 0, 1)).astype(np.uint8)
    equalised = cv2.createCLAHE(3, (128 // 32, 96 // 32)).apply(codes)
    np.testing.assert_allclose(preprocess(image, constants), equalised / 255, atol=1e-5)


@pytest.mark.parametrize("constants", [{}, {"core_threshold": 0.9}, {"core_threshold": 0.9, "join_border": 1.5}])
def test_nuclei_that_touch_are_separated_where_the_readme_says_so(package, constants):
    from unetplus_edge.imaging import Postprocessing, label_nuclei
    from unetplus_export.bioimageio_readme import readme

    after = Postprocessing(**constants)
    text = readme(package.request.bundle.manifest.model_copy(update={"postprocessing": after}), 32)
    told = re.search(r"separated only where the probability between them falls to ([\d.]+) or below", text)

    def nuclei(valley, width=10):
        probability = np.zeros((40, 40), np.float32)
        probability[5:25, 5 : 5 + width] = 0.99
        probability[15, 5 : 5 + width] = valley
        return label_nuclei(probability, after).max()

    at = np.float32(told[1])
    assert nuclei(at) == 2
    assert nuclei(np.nextafter(at, np.float32(1))) == 1
    assert ("at least 20 connected pixels" in text) == ("core_threshold" in constants)
    # A border of 30 pixels between two of 300, whose diameter is 20.
    assert (
        ("longer than 1.5 times the diameter of the smaller one are not" in text)
        == (nuclei(at, 30) == 1)
        == ("join_border" in constants)
    )


def test_the_cover_shows_a_frame_and_what_is_found_in_it(package):
    cover = cv2.imread(str(package.folder / "cover.png"))
    assert cover.shape == (32, 64, 3)
    frame, overlay = cover[:, :32], cover[:, 32:]
    assert (frame == frame[:, :, :1]).all()
    assert frame.std() > 10
    untouched = (overlay == frame).all(axis=2)
    assert untouched.mean() > 0.3


def test_the_conversion_names_its_tools_and_operators(package):
    assert {"keras", "onnx", "bioimageio.spec"} <= set(package.converted.tools)
    assert package.converted.operators["Conv"] == 6
    assert package.converted.companions == ()


def test_another_precision_is_refused(package, tmp_path):
    from unetplus_export.bioimageio import convert_bioimageio

    with pytest.raises(ConversionError, match="written in fp32, not in int8; ask for fp32"):
        convert_bioimageio(replace(package.request, precision="int8"), tmp_path / "model.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_conversion_that_fails_leaves_nothing(make_bundle, tmp_path):
    from unetplus_export.bioimageio import convert_bioimageio

    image = keras.Input((32, 32, 1), name="image")
    model = keras.Model(image, keras.ops.erfinv(image * 0.5))
    request = Request(make_bundle(model, tmp_path / "bundle"), "fp32", patch_side=32)
    with pytest.raises(ConversionError):
        convert_bioimageio(request, tmp_path / "model.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
