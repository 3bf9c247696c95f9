"""Wrong and half-copied models in `reload-model`, under load, and sound ones in between."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from unetplus_bench.endurance.served import COMMAND, PATIENCE

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from unetplus_bench.endurance.served import Served
    from unetplus_bench.endurance.stage import Stage

REFUSED = "a damaged model is refused with a sentence, by exit code 13 or 14"
STAYS = "the model at work goes on after a refusal"
SWAPPED = "a sound model is taken"
GAPLESS = "no frame is lost while models are loaded"
TOLD = "the records tell of every refusal, and of every swap"

_CODES = (13, 14)
_SOUND = 4  # every so many


def models(stage: Stage) -> None:
    """Ask for damaged models, each damaged in another way, and for a sound one after every few."""
    kinds = (_cut_manifest, _other_schema, _lacks_a_file, _cut_file, _flipped_byte, _half_copied, _empty, _garbage)
    swaps = refusals = 0
    with stage.serve(*stage.simulated(rate=None)) as served:
        served.wait_for_frames(2)
        for number in range(stage.count):
            before = stage.standing(served)
            bundle = stage.folder / f"model{number}"
            shutil.copytree(stage.model.bundle, bundle)
            damage = kinds[number % len(kinds)]
            damage(bundle, stage.chance)
            code, said = _reload(served.data_dir, bundle)
            refusals += 1
            what = f"{damage.__name__}: {code}, {said}"
            stage.proof.claim(REFUSED, code in _CODES and said.startswith("error: "), what)
            served.wait_for_frames(2)
            known = stage.standing(served)
            same = known["model"] == before["model"] and known["phase"] == "ready"
            stage.proof.claim(STAYS, same and known["last"]["model_hash"] == before["model"]["hash"], what)
            shutil.rmtree(bundle)
            stage.step(f"model {number + 1} of {stage.count}: {said[:100]}")
            if number % _SOUND == _SOUND - 1 or number == stage.count - 1:
                swaps += 1
                _swap(stage, served, swaps)
                served.wait_for_frames(2)
        ledger = stage.ended(served)
    stage.proof.figures["sound models taken"] = swaps
    kinds_told = [kind for kind, _ in ledger.events]
    told = (kinds_told.count("model refused"), kinds_told.count("model swapped"))
    stage.proof.claim(TOLD, told == (refusals, swaps), told)
    numbers = [row["sequence"] for row in ledger.frames.values()]
    stage.proof.claim(GAPLESS, numbers == list(range(len(numbers))), f"{len(numbers)} frames")


def _swap(stage: Stage, served: Served, number: int) -> None:
    """Let a daemon take a sound model of another name."""
    bundle = stage.folder / f"sound{number}"
    shutil.copytree(stage.model.bundle, bundle)
    code, said = _reload(served.data_dir, bundle)
    known = stage.standing(served)
    taken = known["model"]["bundle"] == str(bundle) and known["model_swaps"] == number
    stage.proof.claim(SWAPPED, code == 0 and taken, f"{code}, {said}, {known['model']}")


def _reload(data_dir: Path, bundle: Path) -> tuple[int, str]:
    command = [*COMMAND, "reload-model", str(bundle), "--data-dir", str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def _files(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file() and path.stat().st_size)


def _payload(bundle: Path) -> list[Path]:
    return [path for path in _files(bundle) if path.name != "manifest.json"]


def _cut_manifest(bundle: Path, chance: random.Random) -> None:
    _cut(bundle / "manifest.json", chance)


def _other_schema(bundle: Path, _: random.Random) -> None:
    path = bundle / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 999}))


def _lacks_a_file(bundle: Path, chance: random.Random) -> None:
    chance.choice(_files(bundle)).unlink()


def _cut_file(bundle: Path, chance: random.Random) -> None:
    _cut(chance.choice(_payload(bundle)), chance)


def _flipped_byte(bundle: Path, chance: random.Random) -> None:
    path = chance.choice(_payload(bundle))
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _half_copied(bundle: Path, chance: random.Random) -> None:
    """Leave what is there when a copy that goes by names has come to some byte."""
    files = _files(bundle)
    left = chance.randrange(sum(path.stat().st_size for path in files))
    for path in files:
        content = path.read_bytes()
        path.unlink() if left <= 0 else path.write_bytes(content[:left])
        left -= len(content)


def _empty(bundle: Path, _: random.Random) -> None:
    shutil.rmtree(bundle)
    bundle.mkdir()


def _garbage(bundle: Path, chance: random.Random) -> None:
    """Replace all networks by noise of which the manifest has the right hashes."""
    manifest = (bundle / "manifest.json").read_text()
    for path in _payload(bundle):
        old = path.read_bytes()
        new = chance.randbytes(len(old))
        path.write_bytes(new)
        manifest = manifest.replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest())
    (bundle / "manifest.json").write_text(manifest)


def _cut(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])
