from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_origin

import numpy as np
import pytest

from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.correction.fit import RingFits
from dials_truncfix.correction.joint_camera.camera_model import CameraModel, SweepCamera
from dials_truncfix.io.plain import field_types, from_plain, to_plain
from dials_truncfix.io.run_lengths import run_lengths
from dials_truncfix.sweep.label_image import LabelImage
from dials_truncfix.sweep.measure import fit_each, measure_frame
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.recipe import drawn, make_recipe, placed, recipe_to_plain
from dials_truncfix.sweep.recipe_checks import recipe_from_plain
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.work import SweepWork
from recordings import record, true_frames

LABELS = LabelImage(
    "a.npy", "00", (2, 3), run_lengths(np.array([[1, 1, 0], [2, 2, 2]]))
)
#: Not one of them the default.
OPTIONS = CorrectionOptions(
    n_annuli=11,
    minimum_pixels=9,
    shape="sectors",
    n_sectors=9,
    tile_size=64,
    labels=LABELS,
    family="camera",
    camera=SweepCamera(CameraModel(6.1, 1 / 3, 2.9, 0.1, "floor"), 1e-3),
    histograms="block",
    block_size=6,
    rounding="floor",
    assign="local",
    noise="correlated",
    beam_stop=False,
    seed=2**63 + 1,
)


def through_json(kind, value):
    return from_plain(kind, json.loads(json.dumps(to_plain(value), allow_nan=False)))


def filled(kind: Any, generator: np.random.Generator) -> Any:
    """A value of an annotated type that JSON could spoil."""
    if is_dataclass(kind):
        types = field_types(kind)
        return kind(**{name: filled(types[name], generator) for name in types})
    if get_origin(kind) is np.ndarray:
        (scalar,) = get_args(get_args(kind)[1])
        scalar = get_origin(scalar) or scalar
        if scalar is np.str_:
            return np.array(["emg", "lognormal", ""])
        if scalar is np.bool_:
            return np.array([True, False, True])
        if issubclass(scalar, np.floating):
            values = generator.normal(0, 1e3, (3, 2)) ** 3
            values[0, 0], values[1, 1] = np.nan, -0.0
            return values.astype(scalar if scalar is np.float32 else np.float64)
        return generator.integers(0, 2**40, 3)
    if get_args(kind) and type(None) in get_args(kind):
        return filled(get_args(kind)[0], generator)
    if get_origin(kind) is tuple:
        items = [k for k in get_args(kind) if k is not Ellipsis]
        return tuple(filled(item, generator) for item in items)
    return {
        int: lambda: int(generator.integers(2**62)),
        # such that a camera may have it
        float: lambda: float(generator.uniform(0.1, 1.0)),
        bool: lambda: True,
        # a word that rounding may be
        str: lambda: "floor",
    }[kind]()


def assert_same(one, other, where=""):
    assert type(one) is type(other), where
    if is_dataclass(one):
        for field in fields(one):
            name = field.name
            assert_same(getattr(one, name), getattr(other, name), f"{where}.{name}")
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), where
        assert one.tobytes() == other.tobytes(), where
    elif isinstance(one, tuple):
        assert len(one) == len(other), where
        for a, b in zip(one, other):
            assert_same(a, b, where)
    else:
        assert one == other, where


@pytest.mark.parametrize("kind", [RingFits, PanelValues], ids=lambda k: k.__name__)
def test_every_field_comes_back_to_the_last_bit(kind):
    value = filled(kind, np.random.default_rng(0))
    assert_same(through_json(kind, value), value)


def test_every_option_comes_back():
    default = CorrectionOptions()
    for field in fields(CorrectionOptions):
        assert getattr(OPTIONS, field.name) != getattr(default, field.name), field.name
    assert_same(through_json(CorrectionOptions, OPTIONS), OPTIONS)


def test_missing_options_take_their_defaults():
    """An older file does not name the options that are younger."""
    assert from_plain(CorrectionOptions, {"seed": 5}) == CorrectionOptions(seed=5)


@pytest.fixture
def source(tmp_path):
    recording = record(tmp_path / "images", true_frames(3, 64), frames_per_part=2)
    expt = ExperimentListFactory.from_filenames([str(recording.path)])
    return SweepSource(expt[0].imageset[1:3])


PANEL = PanelValues(6.1, -5.9, -32768, 65534)


def recipe_of(source, images=()):
    return make_recipe(source, CorrectionOptions(), PANEL, "cbf", images)


def fitted_images(source):
    """Fits of the images of a sweep."""
    work = SweepWork(source.imageset, CorrectionOptions(minimum_pixels=500))
    images = []
    for index in range(len(source)):
        frame = source.read(index)
        images.append(measure_frame(work, index, frame, work.image_regions(frame)))
    return fit_each(images, work.options)


def test_a_recipe_comes_back(source, tmp_path):
    images = fitted_images(source)
    recipe = placed(recipe_of(source, images), tmp_path / "elsewhere")
    plain = json.loads(json.dumps(recipe_to_plain(recipe), allow_nan=False))
    back = recipe_from_plain(plain, "it")
    assert_same(back, recipe)
    assert [image.number for image in back.images] == [2, 3]
    assert [image.frame for image in back.images] == [1, 2]
    assert [image.fits for image in back.images] == [0, 1]
    assert [len(image.shadow.values) for image in back.images] == [1, 1]
    assert back.files[0].relative == "../images/movie_000.tvips"
    assert [part.name for part in back.files[0].parts] == [
        "movie_000.tvips",
        "movie_001.tvips",
    ]
    assert back.shape == (64, 64)


def test_fits_that_images_share_are_written_once(source):
    images = fitted_images(source)
    shared = [replace(image, fits=images[0].fits) for image in images]
    recipe = recipe_of(source, shared)
    assert len(recipe.fits) == 1
    assert [image.fits for image in recipe.images] == [0, 0]


def test_images_without_fits(source):
    recipe = recipe_of(source)
    assert recipe.fits == ()
    assert [image.fits for image in recipe.images] == [None, None]


def test_the_trusted_range_is_the_same_to_every_release(source):
    panel = recipe_of(source).models["detector"]["panels"][0]
    assert panel["trusted_range"] == [source.min_valid - 0.5, source.max_valid + 0.5]


def test_draws_differ_in_seed_and_offset(source):
    recipe = drawn(recipe_of(source), 7, PANEL.with_offset(-30, None))
    assert (recipe.options.seed, recipe.panel.offset) == (7, 31)
