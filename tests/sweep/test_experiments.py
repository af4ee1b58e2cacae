from __future__ import annotations

import copy

import numpy as np
import pytest

from dials.util.slice import slice_experiments
from dxtbx import flumpy
from dxtbx.format.image import ImageBool, ImageDouble
from dxtbx.model import Crystal, Experiment
from dxtbx.model.experiment_list import ExperimentListFactory

from dials_truncfix.sweep.experiments import corrected_experiments
from dials_truncfix.sweep.panel import PanelValues
from dials_truncfix.sweep.source import SweepSource
from recordings import record, true_frames

PANEL = PanelValues(9.0, -4.0, -100, 65534)


@pytest.fixture
def given(tmp_path):
    path = record(tmp_path, true_frames(4, 64)).path
    return ExperimentListFactory.from_filenames([str(path)])


def corrected(given, folder):
    source = SweepSource(given[0].imageset)
    return corrected_experiments(given, source, folder / "fixed_###.cbf", PANEL)


def second_lattice(experiment):
    cell = (50, 0, 0), (0, 60, 0), (0, 0, 70)
    return Experiment(
        identifier="second",
        beam=experiment.beam,
        detector=experiment.detector,
        goniometer=experiment.goniometer,
        scan=experiment.scan,
        imageset=experiment.imageset,
        crystal=Crystal(*cell, space_group_symbol="P1"),
    )


def test_lattices_go_on_sharing_images_and_detector(given, tmp_path):
    given.append(second_lattice(given[0]))
    after = corrected(given, tmp_path)
    assert list(after.identifiers()) == [given[0].identifier, "second"]
    assert after[0].crystal is None
    assert after[1].crystal == given[1].crystal
    assert len(after.imagesets()) == len(after.detectors()) == len(after.scans()) == 1
    panel = after[1].detector[0]
    assert (panel.get_gain(), panel.get_pedestal()) == (9.0, -4.0)
    assert after.imagesets()[0].get_path(3) == str(tmp_path / "fixed_004.cbf")
    assert given[0].detector[0].get_gain() == 1.0


def test_lattices_keep_detectors_of_their_own(given, tmp_path):
    given.append(second_lattice(given[0]))
    refined = copy.deepcopy(given[0].detector)
    refined[0].set_frame((1, 0, 0), (0, -1, 0), (-1.0, 1.5, -2190.0))
    given[1].detector = refined
    after = corrected(given, tmp_path)
    for before, experiment in zip(given, after):
        panel = experiment.detector[0]
        assert panel.get_origin() == before.detector[0].get_origin()
        assert (panel.get_gain(), panel.get_pedestal()) == (9.0, -4.0)


def test_masks_and_distortions_stay(given, tmp_path):
    lookup = given[0].imageset.external_lookup
    mask = np.ones((64, 64), dtype=bool)
    mask[:, 40:] = False
    lookup.mask.filename = "pixels.mask"
    lookup.mask.data = ImageBool(flumpy.from_numpy(mask))
    lookup.dx.data = ImageDouble(flumpy.from_numpy(np.full((64, 64), 0.5)))
    after = corrected(given, tmp_path)[0].imageset.external_lookup
    assert after.mask.filename == "pixels.mask"
    kept = flumpy.to_numpy(after.mask.data.tile(0).data())
    np.testing.assert_array_equal(kept, mask)
    assert flumpy.to_numpy(after.dx.data.tile(0).data())[0, 0] == 0.5
    assert after.dy.data.empty()


def test_gain_and_pedestal_images_do_not_stay_unnoticed(given, tmp_path, caplog):
    lookup = given[0].imageset.external_lookup
    lookup.pedestal.data = ImageDouble(flumpy.from_numpy(np.full((64, 64), 5.0)))
    after = corrected(given, tmp_path)[0].imageset.external_lookup
    assert after.pedestal.data.empty()
    assert "lookup.pedestal" in caplog.text


def test_a_slice_keeps_its_numbers_and_can_be_sliced_again(given, tmp_path):
    given[0].imageset = given[0].imageset[1:4]
    given[0].scan = given[0].imageset.get_scan()
    given[0].scan.set_batch_offset(0)
    after = corrected(given, tmp_path)
    assert after[0].scan.get_image_range() == (2, 4)
    assert after[0].imageset.get_path(0) == str(tmp_path / "fixed_002.cbf")
    (part,) = slice_experiments(after, [(3, 4)])
    assert part.scan.get_image_range() == (3, 4)
    assert part.imageset.get_path(0) == str(tmp_path / "fixed_003.cbf")
    assert given[0].scan.get_batch_offset() == 0
