"""The nuclei of a simulated specimen: where they lie, what they look like, how they live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.datasets.specimen_conditions import Specimen

INTERPHASE: Final = 0
MITOSIS: Final = 1
GROWTH: Final = 2
DEATH: Final = 3
PIECE: Final = 4

STAGE_FRAMES: Final = {MITOSIS: 8, GROWTH: 20, DEATH: 12}
"""How long a nucleus condenses before it divides, grows after it, and fades when it dies, frames."""

HARMONICS: Final = (2, 3, 4, 5)
"""Orders of the Fourier series that an outline wobbles by."""

NUCLEUS: Final = np.dtype(
    [
        ("id", np.int32),  # 0 for what has no label
        ("row", np.float64),  # where it belongs in the world, px
        ("column", np.float64),
        ("off_row", np.float64),  # how far it is from there, px
        ("off_column", np.float64),
        ("area", np.float64),  # px
        ("elongation", np.float64),  # long axis over short axis
        ("angle", np.float64),  # from the columns to the long axis, rad
        ("wobble", np.float64, len(HARMONICS)),  # amplitudes, fraction of the radius
        ("phase", np.float64, len(HARMONICS)),  # rad
        ("brightness", np.float64),  # fraction of full scale
        ("blur", np.float64),  # sigma, px
        ("chromatin", np.float64, 2),  # where its texture is cut out of the sheet, in [0, 1)
        ("company", np.bool_),  # whether it lies against others
        ("stage", np.int8),
        ("age", np.int32),  # frames since the stage began
    ]
)
"""One nucleus, speck or body of haze."""

_SMALLEST = 20.0  # px
_LARGEST = 4.0  # times the median area
_LONGEST = 2.5
_FARTHEST = 1.25  # outline over ellipse
_WOBBLE_SHARES = np.sqrt([0.9, 0.8, 0.25, 0.05])  # nuclei are eggs and beans, not stars
_DIM = 0.06  # fraction of nuclei of which little lies in the focal depth
_TRIES = 12
_CROWDING = 0.8  # distance of two in a cluster, in units of where their ellipses touch
_TOUCHING = 0.95  # the same, for those that push each other
_ELBOW_ROOM = 1.4  # the same, for those that do not seek company
_TETHER = 0.95  # how much of its displacement a nucleus keeps from frame to frame
_PUSHED = 4  # one nucleus in so many gives way in a frame
_CANDIDATES = 4


class Population:
    """Nuclei in a world somewhat larger than the frame, which closes on itself.

    A nucleus that the drift carries out of the world on one side comes in again on the other, out of
    sight, as another nucleus: it gets a new id. So do both daughters of a division. No id is used twice.

    Parameters
    ----------
    specimen
        Conditions as they stand: `variation` is not looked at.

    Attributes
    ----------
    nuclei
        Of dtype `NUCLEUS`, the lowest first: a later one lies on top of an earlier one.
    debris
        Specks that have no label, of the same dtype.
    hazy
        Nuclei too far out of focus for a label, of the same dtype.
    """

    def __init__(self, specimen: Specimen) -> None:
        self._specimen = specimen
        self._rng = np.random.default_rng([specimen.seed, 1])
        self._margin = float(np.ceil(largest_radius(specimen)))
        self._world = np.array([specimen.height, specimen.width]) + 2 * self._margin
        direction = self._rng.uniform(0, 2 * np.pi)
        self._drift = specimen.drift * np.array([np.sin(direction), np.cos(direction)])
        self._next_id = 1
        self._expected = specimen.density * float(self._world.prod()) / 1e6
        self.nuclei = self._grown(int(self._rng.poisson(self._expected)))
        self.debris = self._specks(int(self._rng.poisson(specimen.debris * self._expected)))
        self.hazy = self._far_away(int(self._rng.poisson(specimen.haze * self._expected)))

    def positions(self, bodies: NDArray[np.void]) -> NDArray[np.float64]:
        """Return (row, column) of each body in the frame, px, shape (n, 2)."""
        at = np.stack([bodies["row"] + bodies["off_row"], bodies["column"] + bodies["off_column"]], axis=1)
        return np.asarray(at - self._margin)

    def advance(self) -> None:
        """Let the time of one frame pass."""
        self._move()
        self._age()

    def _grown(self, number: int) -> NDArray[np.void]:
        rng = self._rng
        nuclei = np.zeros(number, NUCLEUS)
        nuclei["id"] = self._new_ids(number)
        self._draw_looks(nuclei)
        pieces = rng.random(number) < self._specimen.fragments
        smaller = np.exp(-1.8 + 0.7 * rng.standard_normal(np.count_nonzero(pieces)))
        nuclei["area"][pieces] = np.maximum(nuclei["area"][pieces] * smaller, min(_SMALLEST, self._specimen.area))
        nuclei["brightness"][pieces] *= rng.uniform(0.7, 1.8, np.count_nonzero(pieces))
        self._begin_stages(nuclei)
        nuclei["stage"][pieces] = PIECE
        self._place(nuclei)
        return nuclei

    def _draw_looks(self, nuclei: NDArray[np.void]) -> None:
        """Draw size, shape, brightness and texture of each, in place."""
        specimen, rng, number = self._specimen, self._rng, len(nuclei)
        area = specimen.area * np.exp(specimen.area_sigma * rng.standard_normal(number))
        nuclei["area"] = np.clip(area, min(_SMALLEST, specimen.area), _LARGEST * specimen.area)
        longer = (specimen.elongation - 1) * np.exp(0.5 * rng.standard_normal(number))
        nuclei["elongation"] = np.minimum(1 + longer, _LONGEST)
        nuclei["angle"] = rng.uniform(0, np.pi, number)
        amplitude = specimen.irregularity * np.exp(0.5 * rng.standard_normal(number))
        wobble = amplitude[:, None] * _WOBBLE_SHARES * rng.standard_normal((number, len(HARMONICS)))
        nuclei["wobble"] = np.clip(wobble, -0.2, 0.2)
        nuclei["phase"] = rng.uniform(0, 2 * np.pi, (number, len(HARMONICS)))
        brightness = specimen.contrast * np.exp(specimen.brightness_sigma * rng.standard_normal(number))
        dimmer = np.where(rng.random(number) < _DIM, rng.uniform(0.2, 0.6, number), 1.0)
        nuclei["brightness"] = brightness * dimmer
        out_of_focus = np.clip(rng.standard_normal(number), -4, 4)
        nuclei["blur"] = np.hypot(specimen.psf_sigma, specimen.defocus * out_of_focus)
        nuclei["chromatin"] = rng.random((number, 2))
        # each that lies against another makes two that touch
        nuclei["company"] = rng.random(number) < specimen.clustering / 2

    def _specks(self, number: int) -> NDArray[np.void]:
        specks = self._scattered(number)
        specks["area"] = self._rng.uniform(2, 8, number)
        specks["brightness"] = self._specimen.contrast * np.exp(self._rng.uniform(-3.0, 0.3, number))
        specks["blur"] = self._specimen.psf_sigma
        return specks

    def _far_away(self, number: int) -> NDArray[np.void]:
        hazy = self._scattered(number)
        hazy["area"] = self._specimen.area * self._rng.uniform(1, 3, number)
        hazy["brightness"] = self._specimen.contrast * np.exp(self._rng.uniform(-4.0, -1.0, number))
        hazy["blur"] = np.sqrt(hazy["area"] / np.pi) * self._rng.uniform(0.7, 1.5, number)
        return hazy

    def _scattered(self, number: int) -> NDArray[np.void]:
        """Return round bodies without a label, anywhere in the world."""
        bodies = np.zeros(number, NUCLEUS)
        bodies["row"], bodies["column"] = (self._rng.random((number, 2)) * self._world).T
        bodies["elongation"] = 1
        bodies["chromatin"] = self._rng.random((number, 2))
        return bodies

    def _begin_stages(self, nuclei: NDArray[np.void]) -> None:
        """Let as many be in mitosis and dying as there are in the long run."""
        chance = self._rng.random(len(nuclei))
        floor = 0.0
        for stage in (MITOSIS, DEATH):
            share = min(self._specimen.division_rate * STAGE_FRAMES[stage], 0.25)
            chosen = (chance >= floor) & (chance < floor + share)
            nuclei["stage"][chosen] = stage
            nuclei["age"][chosen] = self._rng.integers(0, STAGE_FRAMES[stage], np.count_nonzero(chosen))
            floor += share

    def _place(self, nuclei: NDArray[np.void]) -> None:
        """Put the nuclei down one by one, some against one that lies there, the others with room around."""
        rng, number = self._rng, len(nuclei)
        at = np.empty((number, 2))
        ellipses = _ellipses(nuclei)
        company = nuclei["company"].tolist()
        for new in range(number):
            enough = _CROWDING if company[new] else _ELBOW_ROOM
            most = -1.0
            for _ in range(_TRIES):
                candidate = rng.random(2) * self._world
                if new and company[new]:
                    partner, direction = int(rng.integers(new)), rng.uniform(0, 2 * np.pi)
                    step = _radii(ellipses[[partner, new]], direction).sum() * rng.uniform(_CROWDING, 1.05)
                    candidate = (at[partner] + step * np.array([np.sin(direction), np.cos(direction)])) % self._world
                room = self._room(ellipses[new], candidate, ellipses[:new], at[:new])
                if room > most:
                    most, at[new] = room, candidate
                if room >= enough:
                    break
        nuclei["row"], nuclei["column"] = at.T

    def _room(
        self,
        ellipse: NDArray[np.float64],
        at: NDArray[np.float64],
        others: NDArray[np.float64],
        places: NDArray[np.float64],
    ) -> float:
        """Return the distance to the nearest of others, in units of the one at which the two touch."""
        apart = places - at
        apart -= self._world * np.rint(apart / self._world)
        direction = np.arctan2(apart[:, 0], apart[:, 1])
        touch = _radii(others, direction) + _radii(ellipse[None], direction)
        return float((np.hypot(apart[:, 0], apart[:, 1]) / touch).min(initial=np.inf))

    def _move(self) -> None:
        nuclei = self.nuclei
        steps = self._specimen.motility * self._rng.standard_normal((2, len(nuclei)))
        # neighbours keep a nucleus where it is: it trembles, but does not get away
        nuclei["off_row"] = _TETHER * nuclei["off_row"] + steps[0]
        nuclei["off_column"] = _TETHER * nuclei["off_column"] + steps[1]
        self._make_room()
        around = self._carry(nuclei)
        nuclei["id"][around] = self._new_ids(int(np.count_nonzero(around)))
        self._carry(self.debris)
        self._carry(self.hazy)

    def _make_room(self) -> None:
        """Push some nuclei away from those that they lie on; a few a frame, since each looks at all others."""
        nuclei, number = self.nuclei, len(self.nuclei)
        some = np.flatnonzero(self._rng.random(number) < 1 / _PUSHED)
        at = np.stack([nuclei["row"], nuclei["column"]], axis=1)
        radius = np.sqrt(nuclei["area"] / np.pi)
        apart = at[some, None] - at[None]
        apart -= self._world * np.rint(apart / self._world)
        distance = np.maximum(np.hypot(apart[..., 0], apart[..., 1]), 1e-3)
        keep = np.where(nuclei["company"][some, None] | nuclei["company"], _TOUCHING, _ELBOW_ROOM)
        overlap = np.maximum(keep * (radius[some, None] + radius) - distance, 0)
        overlap[np.arange(len(some)), some] = 0
        step = (apart * (overlap / distance)[..., None]).sum(axis=1)
        length = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-3)
        step *= np.minimum(0.5, 1.0 / length)[:, None]
        nuclei["row"][some] += step[:, 0]
        nuclei["column"][some] += step[:, 1]

    def _carry(self, bodies: NDArray[np.void]) -> NDArray[np.bool_]:
        """Move bodies with the stage, in place; return which of them went round the world."""
        around = np.zeros(len(bodies), np.bool_)
        for axis, name in enumerate(("row", "column")):
            moved = bodies[name] + self._drift[axis]
            around |= (moved < 0) | (moved >= self._world[axis])
            bodies[name] = moved % self._world[axis]
        return around

    def _age(self) -> None:
        nuclei, rate = self.nuclei, self._specimen.division_rate
        stage, age = nuclei["stage"], nuclei["age"]
        age += 1
        stage[(stage == GROWTH) & (age >= STAGE_FRAMES[GROWTH])] = INTERPHASE
        gone = (stage == DEATH) & (age >= STAGE_FRAMES[DEATH])
        divided = (stage == MITOSIS) & (age >= STAGE_FRAMES[MITOSIS])
        # more deaths than divisions in a crowd, fewer where there is room
        self._enter(DEATH, min(rate * (len(nuclei) / max(self._expected, 1.0)) ** 2, 1.0))
        self._enter(MITOSIS, rate)
        if (gone | divided).any():
            daughters = [self._daughters(nuclei[k : k + 1]) for k in np.flatnonzero(divided)]
            self.nuclei = np.concatenate([nuclei[~(gone | divided)], *daughters])

    def _enter(self, stage: int, rate: float) -> None:
        """Let some nuclei begin a stage: those that die are crowded, those that divide have room."""
        nuclei = self.nuclei
        able = nuclei["stage"] == INTERPHASE
        number = int(self._rng.binomial(np.count_nonzero(able), rate))
        if not number:
            return
        ellipses, at = _ellipses(nuclei), self.positions(nuclei)
        for _ in range(number):
            rooms = {}
            for k in self._rng.choice(np.flatnonzero(able), _CANDIDATES).tolist():
                others = np.arange(len(nuclei)) != k
                rooms[k] = self._room(ellipses[k], at[k], ellipses[others], at[others])
            chosen = (min if stage == DEATH else max)(rooms, key=rooms.__getitem__)
            nuclei["stage"][chosen], nuclei["age"][chosen] = stage, 0

    def _daughters(self, mother: NDArray[np.void]) -> NDArray[np.void]:
        """Return two nuclei that part at right angles to the plate that the mother has become."""
        daughters = np.repeat(mother, 2)
        daughters["id"] = self._new_ids(2)
        daughters["stage"], daughters["age"] = GROWTH, 0
        self._draw_looks(daughters)
        away = mother["angle"] + np.pi / 2 + np.array([0, np.pi])
        radius = np.sqrt(mother["area"] / np.pi)
        apart, at_birth = 1.1 * radius, 0.55 * radius
        for home, offset, direction in (("row", "off_row", np.sin(away)), ("column", "off_column", np.cos(away))):
            daughters[home] += apart * direction
            daughters[offset] += (at_birth - apart) * direction
        return daughters

    def _new_ids(self, number: int) -> NDArray[np.int64]:
        first = self._next_id
        self._next_id += number
        return np.arange(first, self._next_id)


def appearance(nuclei: NDArray[np.void]) -> NDArray[np.void]:
    """Return the nuclei as they look in their stage of life.

    Chromatin condenses before a division: the nucleus shrinks to a bright plate, its light staying what
    it was. Each daughter begins with half of that light and doubles it as it grows. A dying nucleus
    shrinks, brightens, rounds off and loses its light.

    Parameters
    ----------
    nuclei
        Of dtype `NUCLEUS`, shape (n,).

    Returns
    -------
    numpy.ndarray
        A copy with area, elongation and brightness changed.
    """
    seen = nuclei.copy()
    for stage, frames in STAGE_FRAMES.items():
        here = nuclei["stage"] == stage
        progress = np.clip((nuclei["age"][here] + 1) / frames, 0, 1)
        elongation = seen["elongation"][here]
        if stage == MITOSIS:
            smaller = 1 - 0.5 * progress
            brighter = 1 / smaller
            elongation *= 1 + progress
        elif stage == GROWTH:
            smaller = 0.25 + 0.75 * progress
            brighter = (0.5 + 0.5 * progress) / smaller
            elongation *= 1.5 - 0.5 * progress
        else:
            smaller = 1 - 0.6 * progress
            brighter = np.minimum(1 / smaller, 4.5 * (1 - progress) + 0.4)
            elongation = 1 + (elongation - 1) * (1 - progress)
        seen["area"][here] *= smaller
        seen["brightness"][here] *= brighter
        seen["elongation"][here] = np.minimum(elongation, _LONGEST)
    return seen


def outlines(nuclei: NDArray[np.void], points: int) -> NDArray[np.float64]:
    """Return the outline of every nucleus around its own centre.

    An ellipse whose radius wobbles by a Fourier series, scaled to the area of the nucleus.

    Parameters
    ----------
    nuclei
        Of dtype `NUCLEUS`, shape (n,).
    points
        Corners of a polygon.

    Returns
    -------
    numpy.ndarray
        float64, shape (n, points, 2): column and row, px.
    """
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    wobble = np.ones((len(nuclei), points))
    for k, order in enumerate(HARMONICS):
        wobble += nuclei["wobble"][:, k, None] * np.cos(order * turn + nuclei["phase"][:, k, None])
    longer = np.sqrt(nuclei["elongation"])[:, None]
    along, across = wobble * np.cos(turn) * longer, wobble * np.sin(turn) / longer
    # the shoelace formula
    area = (along * np.roll(across, -1, axis=1) - across * np.roll(along, -1, axis=1)).sum(axis=1) / 2
    scale = np.sqrt(nuclei["area"] / area)[:, None]
    cosine, sine = scale * np.cos(nuclei["angle"])[:, None], scale * np.sin(nuclei["angle"])[:, None]
    return np.stack([cosine * along - sine * across, sine * along + cosine * across], axis=2)


def largest_radius(specimen: Specimen) -> float:
    """Return how far from its centre a nucleus can be seen, blur included, px."""
    blur = np.hypot(specimen.psf_sigma, 4 * specimen.defocus)
    return float(_FARTHEST * np.sqrt(_LARGEST * specimen.area / np.pi * _LONGEST) + 3 * blur)


def _ellipses(nuclei: NDArray[np.void]) -> NDArray[np.float64]:
    """Return the squares of the long and the short radius, and the angle, shape (n, 3)."""
    square = nuclei["area"] / np.pi
    return np.stack([square * nuclei["elongation"], square / nuclei["elongation"], nuclei["angle"]], axis=1)


def _radii(ellipses: NDArray[np.float64], direction: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return the radius of each ellipse in a direction, px."""
    long, short, angle = ellipses.T
    turn = direction - angle
    return np.asarray(1 / np.sqrt(np.cos(turn) ** 2 / long + np.sin(turn) ** 2 / short))
