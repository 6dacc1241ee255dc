"""Pictures of states: each number a pixel, each fact in its place, one slider for all."""

import base64
import io

import numpy as np
import pytest
from matplotlib.image import imread
from unification_records import make_record

from lingraft.report.unification_cells import cell_name, chosen_members
from lingraft.report.unification_figures import SHADES
from lingraft.report.unification_frames import SIDE, build_films, film_steps


@pytest.fixture
def record():
    return make_record()


def test_a_checkerboard_is_drawn_pixel_by_pixel(record):
    film = build_films(record)[-1]
    member = chosen_members(record)[-1]
    assert film.title == f"{cell_name(member['axes'])}; seed 0"
    for (step, pictures), recorded in zip(film.frames, member["pictures"], strict=True):
        assert step == recorded["step"]
        names = [picture.layer for picture in pictures]
        assert names == ["embeddings", "layer 1", "layer 2"]
        for picture, layer in zip(pictures, recorded["layers"], strict=True):
            png = base64.b64decode(picture.checkerboard.removeprefix("data:image/png;base64,"))
            pixels = imread(io.BytesIO(png))
            expected = SHADES((np.array(layer["checkerboard"]) + 1) / 2)
            assert np.abs(pixels - expected).max() <= 1 / 255


def test_components_keep_their_places_and_join_each_fact(record):
    member = chosen_members(record)[0]
    flat = member["pictures"][1]["layers"][0]["components"]
    flat |= {"a": [[1.0, 0.0], [0.0, 1.0]], "b": [[-1.0, 0.0], [0.0, -0.5]]}
    picture = build_films(record)[0].frames[1][1][0]
    assert SIDE == 100
    assert picture.languages == ("M94 50h0M50 6h0", "M6 50h0M50 72h0")
    assert [paths for _, *paths in picture.facts] == [
        ["M94 50h0M6 50h0", "M94 50L6 50"],
        ["M50 6h0M50 72h0", "M50 6L50 72"],
    ]
    assert picture.shares == "75 % across, 25 % up"
    assert build_films(record)[0].frames[0][1][0].shares == "all states are alike"


def test_models_looked_at_at_other_steps_share_the_slider(record):
    chosen = chosen_members(record)
    chosen[0]["pictures"] = chosen[0]["pictures"][:1]
    chosen[1]["pictures"][0]["step"] = 50
    assert film_steps(build_films(record)) == [0, 50, 100, 200, 400, 800]
