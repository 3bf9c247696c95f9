from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unetplus_runtime.configuration.fields import CAMERA_MODELS, describe, model_of, sections
from unetplus_runtime.configuration.settings import ServeSettings

if TYPE_CHECKING:
    from pydantic import BaseModel

MODELS: dict[str, type[BaseModel]] = {"": ServeSettings, **dict(CAMERA_MODELS.items()), **sections()}


@pytest.mark.parametrize("name", MODELS)
def test_every_field_is_described(name: str) -> None:
    model = MODELS[name]
    described = describe(model)
    inside = {"camera", *sections()} if model is ServeSettings else set()
    assert [field.name for field in described] == [field for field in model.model_fields if field not in inside]
    assert all(field.kind and field.meaning.endswith(".") and "None" not in field.meaning for field in described)


def test_every_section_is_one_of_the_settings() -> None:
    assert {"data_dir", "pixel_size", "camera", *sections()} == set(ServeSettings.model_fields)


@pytest.mark.parametrize(
    ("section", "name", "kind", "default"),
    [
        ("durability", "interval", "number above 0 and at most 0.2", "0.2"),
        ("simulated", "rate", 'number above 0 and at most 10000 or "none"', "2.0"),
        ("simulated", "bit_depth", "8 or 12 or 16", "16"),
        ("simulated", "seed", "whole number at least 0 and below 4294967296", "0"),
        ("simulated", "faults", "list of tables of kind, frame, seconds, frames, lives", "[]"),
        ("folder", "path", "path", ""),
        ("opencv", "source", "whole number at least 0 or text", ""),
        ("record", "labels", "true or false", "false"),
        (
            "retention",
            "max_size",
            'whole number of bytes at least 0 or text such as "10 GiB" or "none"',
            '"none"',
        ),
    ],
)
def test_a_kind_is_in_words(section: str, name: str, kind: str, default: str) -> None:
    [field] = [field for field in describe(MODELS[section]) if field.name == name]
    assert (field.kind, field.default) == (kind, default)


def test_names_that_share_a_meaning_both_have_it() -> None:
    fields = {field.name: field.meaning for field in describe(CAMERA_MODELS["simulated"])}
    assert fields["height"] == fields["width"] == "Sides of a frame, px."


def test_there_is_no_model_of_what_is_no_section() -> None:
    assert model_of("nothing", "simulated") is None
    assert model_of("camera", "webcam") is None
