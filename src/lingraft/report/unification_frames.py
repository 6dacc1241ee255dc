"""Pictures of states at every checkpoint, small enough that one page holds them all.

Rows and columns of a checkerboard are fact1-A, fact1-B, fact2-A, ... (reference, section 2.3):
2 x 2 blocks on the diagonal where facts are unified, alternating cells where language rules.

Axes: R rows and C columns of cosines, 4 colour channels K.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.image import imsave

from lingraft.report.unification_cells import Member, cell_name, chosen_members
from lingraft.report.unification_figures import COLOURS, SHADES

SIDE = 100  # of the square that components are drawn into
_MARGIN = 6
_PAINTS = (*COLOURS[:6], "#8c564b", "#7f7f7f", "#9271c9", "#17a398", "#b5a300", "#cc3311")


@dataclass(frozen=True)
class Picture:
    """One layer at one checkpoint.

    Attributes:
        layer: What it is called.
        checkerboard: Address of an image that holds it.
        languages: Of A and of B, an SVG path of dots.
        facts: For each fact a colour, an SVG path of its two dots, and one of the line between.
        shares: How much of the variance the two directions explain, or why that is undefined.
    """

    layer: str
    checkerboard: str
    languages: tuple[str, str]
    facts: tuple[tuple[str, str, str], ...]
    shares: str


@dataclass(frozen=True)
class Film:
    """The checkpoints of one model.

    Attributes:
        title: The cell's name and the model's seed.
        frames: Each step with a picture of every layer.
    """

    title: str
    frames: tuple[tuple[int, tuple[Picture, ...]], ...]


def build_films(record: Mapping[str, Any]) -> list[Film]:
    """Returns what the slider moves through: the pictured models, six at most."""
    return [_film(member) for member in chosen_members(record) if member["pictures"]]


def film_steps(films: Sequence[Film]) -> list[int]:
    """Returns the steps of all films, in order."""
    return sorted({step for film in films for step, _ in film.frames})


def _film(member: Member) -> Film:
    frames = []
    for picture in sorted(member["pictures"], key=lambda picture: int(picture["step"])):
        layers = [_picture(number, layer) for number, layer in enumerate(picture["layers"])]
        frames.append((picture["step"], tuple(layers)))
    return Film(f"{cell_name(member['axes'])}; seed {member['seed']}", tuple(frames))


def _picture(number: int, layer: Mapping[str, Any]) -> Picture:
    flat = layer["components"]
    reach = max((abs(x) for point in (*flat["a"], *flat["b"]) for x in point), default=0.0)
    a = [_place(point, reach) for point in flat["a"]]
    b = [_place(point, reach) for point in flat["b"]]
    shares = flat["shares"]
    return Picture(
        layer=f"layer {number}" if number else "embeddings",
        checkerboard=_image(layer["checkerboard"]),
        languages=(_dots(a), _dots(b)),
        facts=tuple(
            (_PAINTS[fact % len(_PAINTS)], _dots([one, other]), f"M{one}L{other}")
            for fact, (one, other) in enumerate(zip(a, b, strict=True))
        ),
        shares="all states are alike"
        if shares is None
        else f"{100 * shares[0]:.0f} % across, {100 * shares[1]:.0f} % up",
    )


def _place(point: Sequence[float], reach: float) -> str:
    half = SIDE / 2
    scale = (half - _MARGIN) / reach if reach else 0.0
    return f"{half + scale * point[0]:.0f} {half - scale * point[1]:.0f}"


def _dots(places: Sequence[str]) -> str:
    return "".join(f"M{place}h0" for place in places)


def _image(checkerboard: Sequence[Sequence[float]]) -> str:
    cosines_RC = np.asarray(checkerboard, dtype=np.float64)
    buffer = io.BytesIO()
    pixels_RCK = SHADES((cosines_RC + 1) / 2, bytes=True)
    # None leaves out what would name the version of the library in every image.
    imsave(buffer, pixels_RCK, format="png", metadata={"Software": None})  # type: ignore[dict-item]
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
