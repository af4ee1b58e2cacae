"""Corrected images: what is written comes back, here and elsewhere."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from dials.util import Sorry
from dxtbx import IncorrectFormatError, flumpy
from dxtbx.format.FormatCBF import FormatCBF
from dxtbx.format.FormatSMVADSC import FormatSMVADSC
from dxtbx.format.Registry import (
    get_format_class_dag,
    get_format_class_for,
    get_format_class_for_file,
)
from dxtbx.model import DetectorFactory, GoniometerFactory
from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix import compat
from dials_truncfix.io import cbf, smv
from dials_truncfix.io.corrected_header import (
    format_cbf_lines,
    format_smv_header,
    make_header,
)

FIRST = 5
CLASSES = {"cbf": "FormatCBFTruncfix", "img": "FormatSMVTruncfix"}


@pytest.fixture
def models():
    detector = DetectorFactory.simple(
        "PAD",
        2640.1,
        (0.4, 0.3),
        "+x",
        "-y",
        (0.0312, 0.0312),
        (32, 24),
        (-1, 65535),
        [(1, 1, 2, 2)],
        identifier="F416; {S/N = 12}",
    )
    beam = compat.make_electron_beam(0.0250793)
    axis = (-0.829 / np.hypot(0.829, 0.559), 0.559 / np.hypot(0.829, 0.559), 0)
    goniometer = GoniometerFactory.known_axis(axis)
    scan = compat.make_scan(
        (FIRST, FIRST + 5),
        (-30.1, 0.3),
        [0.5, 0.5, 0.51, 0.5, 0.5, 0.5],
        [1.6e9 + 0.5003 * i for i in range(6)],
    )
    return detector, beam, goniometer, scan


@pytest.fixture(params=["cbf", "img"])
def corrected(request, tmp_path, models):
    """Write six images; their paths, pixels and kind."""
    kind = request.param
    generator = np.random.default_rng(5)
    pixels = generator.normal(3, 4, (6, 24, 32)).round().astype(np.int32)
    offset = 0 if kind == "cbf" else 100
    paths = []
    for index, image in enumerate(pixels):
        number = FIRST + index
        header = make_header(
            compat.models_to_dict(*models, number),
            gain=7.25,
            pedestal=offset - 1.375,
            trusted_range=(offset - 60.5, 65534.5),
            offset=offset,
            seed=42,
            version="0.1.0",
        )
        path = tmp_path / f"truncfix_{number:05d}.{kind}"
        if kind == "cbf":
            cbf.write(path, image, format_cbf_lines(header))
        else:
            stored = (image + offset).astype(np.uint16)
            smv.write(path, stored, format_smv_header(header))
        paths.append(str(path))
    return paths, pixels + offset, kind, offset


def from_zero(imageset, start, stop):
    """Slice that counts from 0 in every release."""
    try:
        return imageset[start:stop]
    except OverflowError:
        # Older releases count from the number of the first image.
        offset = imageset.get_scan().get_batch_offset()
        return imageset[start + offset : stop + offset]


def test_models_come_back_exactly(corrected, models):
    paths, pixels, kind, offset = corrected
    detector, beam, goniometer, scan = models
    for index, path in enumerate(paths):
        image = get_format_class_for_file(path)(path)
        assert type(image).__name__ == CLASSES[kind]
        panel = image.get_detector()[0]
        assert (panel.get_gain(), panel.get_pedestal()) == (7.25, offset - 1.375)
        assert panel.get_trusted_range() == (offset - 60.5, 65534.5)
        assert panel.get_type() == "SENSOR_CCD"
        restored = panel.to_dict()
        original = detector[0].to_dict()
        for key in ("gain", "pedestal", "trusted_range", "type"):
            restored.pop(key), original.pop(key)
        assert restored == original
        assert image.get_beam() == beam
        assert image.get_goniometer() == goniometer
        assert image.get_scan() == scan[index : index + 1]
        data = image.get_raw_data()
        assert type(data).__name__ == "int"
        np.testing.assert_array_equal(flumpy.to_numpy(data), pixels[index])


def test_trusted_pixels_do_not_depend_on_the_convention(corrected):
    image = get_format_class_for_file(corrected[0][0])(corrected[0][0])
    panel = image.get_detector()[0]
    low, high = panel.get_trusted_range()
    assert compat.trusted_limits(panel) == (low + 0.5, high - 0.5)


def test_series_is_one_sweep_that_survives_slicing_and_json(
    corrected, models, tmp_path
):
    paths, pixels, _, _ = corrected
    experiments = ExperimentListFactory.from_filenames(paths)
    experiments.as_file(str(tmp_path / "a.expt"))
    again = ExperimentListFactory.from_json_file(str(tmp_path / "a.expt"))
    for loaded in (experiments, again, pickle.loads(pickle.dumps(again))):
        assert len(loaded) == 1
        scan = loaded[0].scan
        assert scan.get_image_range() == (FIRST, FIRST + 5)
        assert scan.get_oscillation() == pytest.approx((-30.1, 0.3), abs=1e-12)
        assert list(scan.get_exposure_times()) == list(models[3].get_exposure_times())
        assert list(scan.get_epochs()) == list(models[3].get_epochs())
        assert loaded[0].detector[0].get_gain() == 7.25
        part = from_zero(loaded[0].imageset, 2, 5)
        assert part.get_scan().get_image_range() == (FIRST + 2, FIRST + 4)
        np.testing.assert_array_equal(
            flumpy.to_numpy(part.get_raw_data(1)[0]), pixels[3]
        )


def test_corrected_data_are_electrons(corrected):
    paths, pixels, _, offset = corrected
    experiments = ExperimentListFactory.from_filenames(paths)
    data = flumpy.to_numpy(experiments[0].imageset.get_corrected_data(1)[0])
    np.testing.assert_allclose(data, (pixels[1] - offset + 1.375) / 7.25, rtol=1e-6)


def test_dials_import_by_files_and_by_template(corrected, dials_import):
    paths, _, kind, _ = corrected
    for arguments in (paths, [f"template=truncfix_#####.{kind}"]):
        experiments, _ = dials_import(*arguments)
        assert len(experiments) == 1
        assert experiments[0].scan.get_image_range() == (FIRST, FIRST + 5)
        assert experiments[0].detector[0].get_pedestal() % 1 == 0.625


def test_renamed_series_follows_its_new_numbers(corrected, tmp_path):
    paths, _, kind, _ = corrected
    renamed = []
    for index, path in enumerate(paths):
        renamed.append(str(tmp_path / f"new_{index + 1:03d}.{kind}"))
        with open(path, "rb") as old, open(renamed[-1], "wb") as new:
            new.write(old.read())
    (experiment,) = ExperimentListFactory.from_filenames(renamed)
    assert experiment.scan.get_image_range() == (1, 6)
    assert experiment.scan.get_oscillation() == pytest.approx((-30.1, 0.3))


def test_stills(tmp_path, models):
    plain = compat.models_to_dict(models[0], models[1], None, None, None)
    header = make_header(plain, 1.0, 0.0, (-9.5, 99.5), 0, 1, "0.1.0")
    pixels = np.zeros((24, 32), np.int32)
    cbf.write(tmp_path / "still_1.cbf", pixels, format_cbf_lines(header))
    smv.write(
        tmp_path / "still_1.img", pixels.astype(np.uint16), format_smv_header(header)
    )
    for kind in CLASSES:
        path = str(tmp_path / f"still_1.{kind}")
        image = get_format_class_for_file(path)(path)
        assert image.get_scan() is None
        assert image.get_goniometer() is None


def stock_children(parent):
    return [
        get_format_class_for(name)
        for name in get_format_class_dag()[parent]
        if name not in ("FormatCBFTruncfix", "FormatSMVTruncfix", "FormatSMVTVIPS")
    ]


@pytest.mark.parametrize("corrected", ["cbf"], indirect=True)
def test_no_class_of_dxtbx_accepts_our_cbf(corrected):
    path = corrected[0][0]
    assert not any(c.understand(path) for c in stock_children("FormatCBF"))
    # What is left is a class without models, which dials.import refuses.
    plain = FormatCBF(path)
    assert plain.get_detector() is None and plain.get_beam() is None


@pytest.mark.parametrize("corrected", ["img"], indirect=True)
def test_smv_speaks_to_dxtbx_without_this_plugin(corrected, models):
    paths, pixels, _, offset = corrected
    assert not any(c.understand(paths[1]) for c in stock_children("FormatSMVADSC"))
    image = FormatSMVADSC(paths[1])
    panel = image.get_detector()[0]
    assert panel.get_gain() == 7.25
    assert panel.get_pedestal() == offset
    assert panel.get_image_size() == (32, 24)
    assert panel.get_distance() == pytest.approx(2640.1)
    s0 = models[1].get_s0()
    assert panel.get_beam_centre(s0) == pytest.approx(
        models[0][0].get_beam_centre(s0), abs=1e-6
    )
    assert image.get_beam().get_wavelength() == pytest.approx(0.0250793)
    scan = image.get_scan()
    assert scan.get_image_range() == (FIRST + 1, FIRST + 1)
    assert scan.get_oscillation() == pytest.approx((-29.8, 0.3))
    assert scan.get_exposure_times()[0] == 0.5
    assert scan.get_epochs()[0] == 1.6e9
    data = image.get_raw_data()
    np.testing.assert_array_equal(flumpy.to_numpy(data), pixels[1])
    assert panel.get_trusted_range_mask(data).count(False) == 0


def test_damage_is_reported(corrected, caplog):
    paths, _, kind, _ = corrected
    with open(paths[0], "rb") as stream:
        data = stream.read()
    with open(paths[0], "wb") as stream:
        stream.write(data[: len(data) - 4600 if kind == "cbf" else -10])
    if kind == "cbf":
        assert type(get_format_class_for_file(paths[0])).__name__ != CLASSES[kind]
        assert "truncfix_00005.cbf: the header claims" in caplog.text
    else:
        with pytest.raises(Sorry, match="truncfix_00005.img: the header claims"):
            get_format_class_for_file(paths[0])(paths[0])


def test_damage_after_import_is_reported(corrected):
    paths, _, kind, _ = corrected
    (experiment,) = ExperimentListFactory.from_filenames(paths)
    os.truncate(paths[1], 3000)
    # damaged CBF is not recognised at all
    error = Sorry if kind == "img" else IncorrectFormatError
    with pytest.raises(error, match=f"truncfix_00006.{kind}"):
        experiment.imageset.get_raw_data(1)
