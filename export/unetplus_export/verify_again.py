"""A second look at what a bundle holds already: on another machine, or with another version of a library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_edge.bundle import update_manifest
from unetplus_edge.errors import EngineError
from unetplus_edge.manifest import ConversionRecord, PlanRecord
from unetplus_export.outcome import Outcome
from unetplus_export.plans import tried
from unetplus_export.targets import TARGETS, runnable
from unetplus_runtime.engines import open_engine
from unetplus_runtime.engines.plan_cache import REBUILD, find_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import EngineName
    from unetplus_export.outcome import Status
    from unetplus_export.stages import Stages
    from unetplus_export.verify import Verifier


def verify_again(bundle: Bundle, verifier_of: Callable[[int], Verifier], stages: Stages) -> list[Outcome]:
    """Try every conversion of a bundle with every engine of its target, and write the verdicts into the manifest.

    So with its TensorRT engines, where this machine's cache has them.

    An engine that does not open here leaves the earlier verdict as it is.

    Parameters
    ----------
    bundle
        The bundle; its manifest is replaced once all were tried.
    verifier_of
        Returns what gives the verdicts, for the side of a patch in pixels.
    stages
        Told what goes on.
    """
    own = bundle.manifest.recipe.patch_side
    outcomes = [
        *(
            _tried(bundle, record, verifier_of(record.patch_side or own), stages)
            for record in bundle.manifest.conversions
        ),
        *(_plan_tried(plan, verifier_of(plan.patch_side), stages) for plan in bundle.manifest.plans),
    ]
    records = [outcome.record for outcome in outcomes]
    changed = {
        "conversions": tuple(record for record in records if isinstance(record, ConversionRecord)),
        "plans": tuple(record for record in records if isinstance(record, PlanRecord)),
    }
    update_manifest(bundle, bundle.manifest.model_copy(update=changed))
    return outcomes


def _plan_tried(plan: PlanRecord, verifier: Verifier, stages: Stages) -> Outcome:
    found = find_plan(plan.key)
    if found is None:
        reason = f"the engine for {plan.gpu} is not in this machine's cache; run: {REBUILD}"
        return Outcome("trt", plan.precision, "unverified", reason, plan)
    path, record = found
    return tried(path, record, verifier, stages)


def _tried(bundle: Bundle, record: ConversionRecord, verifier: Verifier, stages: Stages) -> Outcome:
    verdicts = {earlier.engine: earlier for earlier in record.verifications}
    refused: dict[EngineName, str] = {}
    for engine in TARGETS[record.target].engines:
        stages.begin(f"{record.target} {record.stored_precision}: trying it with {engine}")
        try:
            with runnable(bundle.file_of(record)) as network, open_engine(network, engine) as opened:
                verdicts[engine] = verifier.verify(opened)
        except EngineError as error:
            refused[engine] = str(error)
    first = TARGETS[record.target].engines[0]
    status: Status = "unverified" if first in refused else "verified" if verdicts[first].verified else "failed"
    return Outcome(
        record.target,
        record.stored_precision,
        status,
        refused.get(first, verdicts[first].reason if first in verdicts else None),
        record.model_copy(update={"verifications": tuple(verdicts.values())}),
        sum((bundle.path / part.file).stat().st_size for part in record.files),
    )
