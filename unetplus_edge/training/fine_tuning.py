"""A training that begins with the weights of a model that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import TrainingError
from unetplus_edge.training.recipe import Origin

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.training.recipe import Recipe


def with_its_preprocessing(bundle: Bundle, options: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """Return the values of the options, those of the preprocessing as the bundle has them where none was given.

    Parameters
    ----------
    bundle
        What is trained further.
    options
        Values by the names of the recipe's fields.
    given
        Names of the options that were given.
    """
    constants = bundle.manifest.recipe.preprocessing.model_dump()
    return {name: constants[name] if name in constants and name not in given else options[name] for name in options}


def fine_tuned(recipe: Recipe, bundle: Bundle) -> Recipe:
    """Return the recipe with the bundle as what it begins with.

    Raises
    ------
    TrainingError
        If the bundle holds another network than the recipe trains.
    """
    # The L2 penalty is part of the loss; the network is the same without it.
    wanted, found = (
        one.model_copy(update={"l2": 0.0}) for one in (recipe.architecture, bundle.manifest.recipe.architecture)
    )
    if wanted != found:
        raise TrainingError(
            f"{bundle.path} holds {found.name} of depth {found.depth}, and {wanted.name} of depth {wanted.depth} is to "
            "be trained; name the same network, or another bundle"
        )
    found_by = bundle.manifest.postprocessing
    origin = Origin(name=bundle.manifest.name, keras_sha256=bundle.manifest.keras_sha256, postprocessing=found_by)
    return recipe.model_copy(update={"fine_tuned_from": origin})
