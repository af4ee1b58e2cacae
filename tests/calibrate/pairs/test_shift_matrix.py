"""Shift matrices from displacements, from images, and from what SerialEM recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dials_truncfix.calibrate.pairs.recorded_shifts import (
    RecordedShifts,
    montage_pieces,
    shifts_of_csv,
    shifts_of_mdoc,
)
from dials_truncfix.calibrate.pairs.shift_matrix import fit_shift_matrix
from dials_truncfix.calibrate.pairs.shift_series import (
    calibrate_montage,
    calibrate_shifts,
)
from dials_truncfix.io.mdoc import write_mdoc
from specimen_images import DRIFT, SHIFT_MATRIX, SHIFTS, series_mdoc, shifted_series

SERIALEM = Path(__file__).parents[4] / "shared" / "data" / "serialem"


def displaced(seed, play, noise, to_previous):
    rng = np.random.default_rng(seed)
    n = len(SHIFTS)
    place = SHIFTS @ SHIFT_MATRIX.T + np.outer(np.arange(n), DRIFT)
    place = place + play * rng.standard_normal((n, 2))
    # of each image's own noise
    place = place + np.sqrt(0.5) * noise * rng.standard_normal((n, 2))
    pairs = [(k - 1 if to_previous else 0, k) for k in range(1, n)]
    i, j = np.array(pairs).T
    covariance = np.tile(noise**2 * np.eye(2), (n - 1, 1, 1))
    return fit_shift_matrix(
        pairs, SHIFTS[j] - SHIFTS[i], place[j] - place[i], covariance, 1.0 * (j - i)
    )


@pytest.mark.parametrize("to_previous", [False, True])
@pytest.mark.parametrize(("play", "noise"), [(0.0, 0.1), (0.5, 0.05)])
def test_errors_are_as_large_as_stated(play, noise, to_previous):
    z = []
    for seed in range(150):
        fit = displaced(seed, play, noise, to_previous)
        error = np.append((fit.matrix - SHIFT_MATRIX).ravel(), fit.drift - DRIFT)
        z.append(error / np.sqrt(fit.covariance.diagonal()))
    spread = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all((spread > 0.75) & (spread < 1.3)), spread


def test_play_is_told_from_noise():
    scatter = np.mean([displaced(s, 0.5, 0.05, False).scatter for s in range(60)])
    assert scatter == pytest.approx(0.5, rel=0.1)


def fit_shifts(shifts):
    shifts = np.array(shifts, float)
    pairs = [(0, k + 1) for k in range(len(shifts))]
    covariance = np.tile(1e-4 * np.eye(2), (len(shifts), 1, 1))
    return fit_shift_matrix(pairs, shifts, shifts @ SHIFT_MATRIX.T, covariance)


@pytest.mark.parametrize(
    ("shifts", "words"),
    [
        ([[1, 0]], "1 shifts were made"),
        ([[0, 0], [0, 0], [1, 0]], "1 shifts were made"),
        ([[1, 0], [2, 0.05], [-1, 0]], "along one line"),
    ],
)
def test_poor_shifts_are_refused(shifts, words):
    with pytest.raises(ValueError, match=words):
        fit_shifts(shifts)


def test_vectors_follow_from_the_matrix():
    fit = fit_shifts([[1, 0], [0, 1], [1, 1]])
    assert fit.matrix == pytest.approx(SHIFT_MATRIX)
    assert fit.lengths == pytest.approx(np.linalg.norm(SHIFT_MATRIX, axis=0))
    assert np.degrees(fit.directions[0]) == pytest.approx(
        np.degrees(np.arctan2(-20.3, 78.2))
    )
    assert fit.size == pytest.approx(np.sqrt(np.linalg.det(SHIFT_MATRIX)))
    assert not fit.is_mirrored and fit.drift is None


def test_a_series_of_images():
    images = shifted_series(3, 30.0, SHIFTS[:6])
    recorded = RecordedShifts(SHIFTS[:6], np.arange(6.0), None, None, "")
    names = [f"image {k}" for k in range(6)]
    result = calibrate_shifts(images, names, recorded, "image_shift")
    fit = result.matrix
    z = (fit.matrix - SHIFT_MATRIX).ravel() / np.sqrt(fit.covariance.diagonal()[:4])
    assert np.all(np.abs(z) < 4), z
    assert result.errors.max() < 0.1
    wrong = RecordedShifts(SHIFTS[[0, 5, 4, 3, 1, 2]], None, None, None, "")
    with pytest.raises(ValueError, match="do not follow the shifts"):
        calibrate_shifts(images, names, wrong, "image_shift")


def test_shifts_of_an_mdoc(tmp_path):
    path = tmp_path / "series.mrc.mdoc"
    write_mdoc(path, series_mdoc())
    names = [str(k) for k in range(9)]
    found = shifts_of_mdoc(path, "image_shift", names)
    assert found.shifts == pytest.approx(SHIFTS)
    assert found.minutes == pytest.approx(np.arange(9))
    assert found.pixel_size == pytest.approx(12.0)
    with pytest.raises(ValueError, match="has no StagePosition for"):
        shifts_of_mdoc(path, "stage", names)
    with pytest.raises(ValueError, match="describes 9 images, and 3 were given"):
        shifts_of_mdoc(path, "image_shift", names[:3])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n3,4\n", "no columns x and y"),
        ("x,y\n1,2\n", "1 rows, and there are 2 images"),
        ("x,y\n1,2\n3,four\n", "line 3: not numbers"),
        ("x,y\n1,2\n3,nan\n", "line 3: not finite"),
        ("", "no columns x and y"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, words):
    path = tmp_path / "shifts.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        shifts_of_csv(path, 2)


def test_a_table_with_times(tmp_path):
    path = tmp_path / "shifts.csv"
    path.write_text("X, Y, minutes\n1, 2, 5\n3, -4, 6.5\n")
    found = shifts_of_csv(path, 2)
    assert found.shifts.tolist() == [[1, 2], [3, -4]]
    assert found.minutes.tolist() == [0, 1.5]


@pytest.mark.skipif(not SERIALEM.is_dir(), reason="needs the real files of shared/data")
@pytest.mark.parametrize(
    ("name", "scale", "turn"),
    [("montage_section", 1.0, -3.349), ("gm.mrc", 1.0, 179.4)],
)
def test_stage_matrices_of_real_montages(name, scale, turn):
    """SerialEM's own pixel size and rotation, within 2 % and 1°."""
    result = calibrate_montage(
        montage_pieces(SERIALEM / f"{name}.mdoc", "stage"), "stage"
    )
    on_specimen = result.matrix.size * result.recorded.pixel_size / 1000
    assert on_specimen == pytest.approx(scale, abs=0.02)
    assert np.degrees(result.matrix.directions[0]) == pytest.approx(turn, abs=1.0)
    assert result.matrix.is_mirrored
