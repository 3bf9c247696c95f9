"""One conversion from request to record: made, tried, repaired where it needs it, and kept if it passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from unetplus_edge.bundle import add_conversion
from unetplus_edge.errors import ConversionError, EngineError, OutputError
from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import CalibrationRecord, ConversionRecord, FileRecord, VerificationRecord
from unetplus_export.conversion import Request
from unetplus_export.outcome import Outcome
from unetplus_export.targets import TARGETS, converter, layer_errors, runnable
from unetplus_runtime.engines import open_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import CalibrationMethod, EngineName, Precision, Target
    from unetplus_export.calibration import Calibration
    from unetplus_export.conversion import Converted
    from unetplus_export.outcome import Status
    from unetplus_export.stages import Stages
    from unetplus_export.verify import Verifier


@dataclass(frozen=True)
class Options:
    """What all conversions of a run have in common.

    Attributes
    ----------
    patch_side, batch
        As in `Request`.
    integer_ends
        As in `Request`.
    method
        How int8 ranges are taken; None tries every way that a target has, and takes the one that
        loses least.
    calibration_chosen
        Whether somebody chose what int8 ranges are taken of, so that a file with ranges of other
        patches is not what is asked for.
    """

    patch_side: int
    batch: int | None = None
    integer_ends: bool = False
    method: CalibrationMethod | None = None
    calibration_chosen: bool = False


@dataclass(frozen=True)
class _Attempt:
    request: Request
    file: Path
    converted: Converted
    stored: Precision
    verifications: tuple[VerificationRecord, ...]

    @property
    def passed(self) -> bool:
        return self.verifications[0].verified

    @property
    def loss(self) -> float:
        """What the limit is of: by how much the worse score fell for int8, the largest difference otherwise."""
        verdict = self.verifications[0]
        if verdict.parity is None or verdict.score_drop is None:
            return float("inf")
        if self.request.precision == "int8":
            return max(verdict.score_drop["average_iou"], verdict.score_drop["kaggle_score"])
        return verdict.parity.max_difference


class Exporter:
    """Makes conversions of one bundle, and keeps those that still segment.

    Parameters
    ----------
    bundle
        The bundle; conversions are added to it. `bundle` is always what it is now. One for patches
        of another side than the recipe's stands beside those for that.
    options
        Of all conversions.
    verifier
        Gives the verdict, on patches of that side; made when the first conversion asks for it.
    calibration
        Gives patches of that side, for int8 and to find out which layers lose most; called when
        they are first asked for.
    stages
        Told what goes on.
    """

    def __init__(
        self,
        bundle: Bundle,
        options: Options,
        verifier: Callable[[], Verifier],
        calibration: Callable[[], Calibration],
        stages: Stages,
    ) -> None:
        self.bundle = bundle
        self._options = options
        self._verifier = verifier
        self._calibration = calibration
        self._stages = stages

    def make(self, target: Target, precision: Precision, remainder: Literal["fp32", "fp16"] = "fp32") -> Outcome:
        """Convert to a format, try the result, and add it to the bundle if it passes.

        Raises
        ------
        BundleError, OutputError, InputError, DataSetError
            For what is wrong with the bundle, the disk or the calibration set. A conversion that
            fails is an `Outcome`.
        """
        try:
            with TemporaryDirectory(prefix="unetplus-export-") as folder:
                attempt = self._best(target, self._request(target, precision, remainder), Path(folder))
                return self._kept(target, attempt)
        except ImportError as error:
            name = error.name or str(error)
            reason = f"{name} is needed for {target}; run: pip install 'unetplus-edge[export]'"
            return Outcome(target, precision, "impossible", reason)
        except ConversionError as error:
            return Outcome(target, precision, "impossible", str(error))
        except OSError as error:
            raise OutputError(f"{target} {precision} cannot be written ({error.strerror}); free the disk") from error

    def _request(self, target: Target, precision: Precision, remainder: Literal["fp32", "fp16"]) -> Request:
        kind = TARGETS[target]
        if precision not in kind.precisions:
            raise ConversionError(f"{target} has no {precision}; it has {', '.join(kind.precisions)}")
        methods = kind.methods
        if precision == "int8" and self._options.method not in (None, *methods):
            raise ConversionError(
                f"{target} takes int8 ranges by {' or '.join(methods)}, not by {self._options.method}"
            )
        return Request(
            self.bundle,
            precision,
            patch_side=self._options.patch_side,
            batch=self._options.batch,
            calibration=self._calibration() if precision == "int8" else None,
            method=self._options.method or methods[0],
            remainder=remainder,
            integer_ends=self._options.integer_ends,
        )

    def _best(self, target: Target, request: Request, folder: Path) -> _Attempt:
        every_method = request.precision == "int8" and self._options.method is None
        methods = TARGETS[target].methods if every_method else (request.method,)
        attempts = [self._attempt(target, replace(request, method=method), folder / method) for method in methods]
        best = min(attempts, key=lambda attempt: attempt.loss)
        return best if best.passed or best.loss == float("inf") else self._repaired(target, best, folder)

    def _repaired(self, target: Target, best: _Attempt, folder: Path) -> _Attempt:
        """Return the first attempt that passes with ever more of the worst layers kept out, or the best."""
        precision = best.request.precision
        find_errors = layer_errors(target, precision)
        if find_errors is None:
            return best
        self._stages.begin(f"{target} {precision}: which layers lose most")
        compared = replace(best.request, calibration=best.request.calibration or self._calibration())
        worst = [name for name, _ in find_errors(compared, best.file)]
        count = 1
        while not best.passed and count < len(worst):
            request = replace(best.request, keep=tuple(worst[:count]))
            attempt = self._attempt(target, request, folder / f"{count}_kept")
            if attempt.stored != precision:
                break  # so little is left in it that it would be another one
            best = min(best, attempt, key=lambda tried: (not tried.passed, tried.loss))
            count *= 2
        return best

    def _attempt(self, target: Target, request: Request, folder: Path) -> _Attempt:
        kind = TARGETS[target]
        title = f"{target} {request.precision}" + (f" by {request.method}" if request.precision == "int8" else "")
        title += f", {len(request.keep)} layers kept out" if request.keep else ""
        self._stages.begin(f"{title}: converting")
        folder.mkdir()
        remainder = "_fp16" if request.remainder == "fp16" else ""
        side = f"_{self.other_side}px" if self.other_side else ""
        file = folder / f"model_{request.precision}{remainder}{side}{kind.suffix}"
        converted = converter(target)(request, file)
        verifications = []
        stored: Precision = request.precision
        for engine in kind.engines:
            self._stages.begin(f"{title}: trying it with {engine}")
            try:
                verification, stored = self._tried(file, engine)
            except EngineError as error:
                verification = VerificationRecord(
                    engine=engine, executed_precision=request.precision, verified=False, reason=str(error)
                )
            verifications.append(verification)
        return _Attempt(request, file, converted, stored, tuple(verifications))

    @property
    def verifier(self) -> Verifier:
        """What gives the verdicts."""
        return self._verifier()

    @property
    def other_side(self) -> int | None:
        """Side of a patch in pixels, where it is not the one that the model was trained with."""
        side = self._options.patch_side
        return None if side == self.bundle.manifest.recipe.patch_side else side

    def has_chosen_ranges(self, record: ConversionRecord) -> bool:
        """Return whether a conversion's int8 ranges are what the options ask for; without int8 there is no choice."""
        chosen = self._options
        if record.stored_precision != "int8" or not (chosen.method or chosen.calibration_chosen):
            return True
        found = record.calibration
        if found is None or chosen.method not in (None, found.method):
            return False
        return not chosen.calibration_chosen or found.sha256 == self._calibration().sha256

    def _tried(self, file: Path, engine: EngineName) -> tuple[VerificationRecord, Precision]:
        with runnable(file) as network, open_engine(network, engine) as opened:
            return self._verifier().verify(opened), opened.info.stored_precision

    def _kept(self, target: Target, attempt: _Attempt) -> Outcome:
        request, converted = attempt.request, attempt.converted
        if attempt.stored != request.precision:
            raise ConversionError(
                f"what was converted to {target} {request.precision} has weights in {attempt.stored}; "
                "report this, with the versions of unetplus-export doctor"
            )
        record = _record(target, attempt, self.other_side)
        first = attempt.verifications[0]
        size = sum(path.stat().st_size for path in (attempt.file, *map(attempt.file.with_name, converted.companions)))
        # What never ran has no library.
        status: Status = "verified" if first.verified else "failed" if first.library else "unverified"
        if status != "failed":
            self.bundle = add_conversion(self.bundle, attempt.file, record)
        return Outcome(target, request.precision, status, first.reason, record, size)


def _record(target: Target, attempt: _Attempt, other_side: int | None) -> ConversionRecord:
    request, converted = attempt.request, attempt.converted
    calibration = request.calibration
    return ConversionRecord(
        file=f"exports/{attempt.file.name}",
        sha256=sha256_of(attempt.file),
        companions=tuple(
            FileRecord(file=f"exports/{name}", sha256=sha256_of(attempt.file.with_name(name)))
            for name in converted.companions
        ),
        target=target,
        stored_precision=attempt.stored,
        remainder=request.remainder if request.precision == "int8" else None,
        operators=dict(converted.operators),
        higher_precision=converted.higher_precision,
        patch_side=other_side,
        verifications=attempt.verifications,
        tools=dict(converted.tools),
        calibration=CalibrationRecord(
            source=calibration.source,
            simulated=calibration.simulated,
            patches=len(calibration.patches),
            sha256=calibration.sha256,
            method=request.method,
        )
        if calibration
        else None,
    )
