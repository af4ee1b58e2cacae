"""NeXus master and data files: what is written comes back, damage is named."""

from __future__ import annotations

import os
import time

import h5py
import numpy as np
import pytest

from dials_truncfix.io import nexus, nexus_data
from dials_truncfix.io.corrected_header import make_header

SHAPE = (24, 32)
PANEL = {
    "fast_axis": [1.0, 0.0, 0.0],
    "slow_axis": [0.0, -1.0, 0.0],
    "origin": [-0.5, 0.4, -2000.0],
    "image_size": [32, 24],
    "pixel_size": [0.0312, 0.0312],
}
HEADER = make_header(
    {
        "detector": {"panels": [PANEL]},
        "beam": {"direction": [0.0, 0.0, 1.0], "wavelength": 0.0251},
        "goniometer": None,
        "scan": None,
    },
    gain=7.25,
    pedestal=-1.375,
    trusted_range=(-60.5, 65534.5),
    offset=0,
    seed=2**53 - 1,
    version="0.1.0",
)


def images(numbers):
    generator = np.random.default_rng(3)
    drawn = generator.normal(2, 6, (200, *SHAPE)).round().astype(np.int32)
    drawn[:, 0, 0] = 70000
    return {number: drawn[number] for number in numbers}


def write(folder, blocks, compression="gzip", bad=None):
    """Write data files of these image numbers and their master."""
    files = []
    for numbers in blocks:
        name = f"a_{numbers[0]:03d}.h5"
        shape = (len(numbers), *SHAPE)
        with nexus_data.open_data_file(folder / name, shape, compression) as store:
            for image in images(numbers).values():
                store(image)
        files.append(nexus.DataFile(name, tuple(numbers)))
    master = nexus.Master(HEADER, tuple(files), bad)
    path = folder / "a_master.h5"
    nexus.write_master(path, master, rotation_axis=None, electrons=True)
    return path


@pytest.mark.parametrize("compression", nexus_data.COMPRESSIONS)
def test_images_and_header_come_back(tmp_path, compression):
    try:
        nexus_data.check_compression(compression)
    except ValueError:
        pytest.skip("HDF5 has no bitshuffle filter here")
    path = write(tmp_path, [(1, 2, 3), (4, 5)], compression)
    assert nexus.is_ours(path)
    master = nexus.read_master(path)
    assert master.header == HEADER
    assert master.numbers == (1, 2, 3, 4, 5)
    assert master.bad_pixels is None
    for number, image in images(master.numbers).items():
        read = nexus.read_numbered(path, master, number)
        assert read.dtype == np.int32
        np.testing.assert_array_equal(read, image)
    with h5py.File(tmp_path / "a_001.h5") as file:
        assert file[nexus_data.DATASET].chunks == (1, *SHAPE)


@pytest.mark.parametrize("compression", ["gzip", "uncompressed"])
def test_images_in_runs_of_narrow_pixels(tmp_path, compression):
    image = np.arange(-20, -20 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    runs = [image.ravel()[i : i + 7] for i in range(0, image.size, 7)]
    path = tmp_path / "a.h5"
    with nexus_data.open_data_file(path, (2, *SHAPE), compression) as store:
        store(runs)
        store(iter([-image.ravel()[::-1][:3], -image.ravel()[::-1][3:]]))
    np.testing.assert_array_equal(nexus_data.read_image(path, 0), image)
    np.testing.assert_array_equal(nexus_data.read_image(path, 1), -image[::-1, ::-1])


@pytest.mark.parametrize("compression", ["gzip", "uncompressed"])
@pytest.mark.parametrize("n_more", [-1, 1])
def test_images_of_another_size_are_refused(tmp_path, compression, n_more):
    n_pixels = int(np.prod(SHAPE))
    pixels = np.zeros(n_pixels + n_more, np.int32)
    shape = (2, *SHAPE)
    with pytest.raises(ValueError, match=f"an image of {n_pixels} pixels has"):
        with nexus_data.open_data_file(tmp_path / "a.h5", shape, compression) as store:
            store([pixels[:5], pixels[5:]])
    assert not list(tmp_path.iterdir())


def test_the_virtual_data_set_shows_each_image_at_its_number(tmp_path, monkeypatch):
    """For programs that know no data files, in whatever folder they run."""
    path = write(tmp_path, [(5, 6, 8), (9,)])
    moved = tmp_path / "50% moved"
    moved.mkdir()
    for file in tmp_path.glob("*.h5"):
        file.rename(moved / file.name)
    monkeypatch.chdir("/")
    with h5py.File(moved / path.name) as file:
        data = file[nexus_data.DATASET]
        assert data.is_virtual
        assert data.shape == (9, *SHAPE)
        for number, image in images((5, 6, 8, 9)).items():
            np.testing.assert_array_equal(data[number - 1], image)
        # below the trusted range: no program takes it for a measurement
        for absent in (1, 7):
            assert np.all(data[absent - 1] == -61)


def test_names_that_hdf5_takes_for_patterns(tmp_path):
    with nexus_data.open_data_file(tmp_path / "a%b_1.h5", (1, *SHAPE)) as store:
        store(images([1])[1])
    master = nexus.Master(HEADER, (nexus.DataFile("a%b_1.h5", (1,)),))
    path = tmp_path / "master.h5"
    nexus.write_master(path, master, rotation_axis=None, electrons=True)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file[nexus_data.DATASET][0], images([1])[1])


def test_bad_pixels(tmp_path):
    bad = np.zeros(SHAPE, dtype=bool)
    bad[3:5, 7] = True
    path = write(tmp_path, [(1,)], bad=bad)
    np.testing.assert_array_equal(nexus.read_master(path).bad_pixels, bad)
    with h5py.File(path) as file:
        assert file["/entry/instrument/detector/pixel_mask"][3, 7] == 1


def test_the_same_bytes_at_another_time(tmp_path):
    paths = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        paths.append(write(tmp_path / name, [(1, 2), (3,)]))
        # HDF5 keeps times in whole seconds
        time.sleep(1.1 if name == "one" else 0)
    for name in ("a_001.h5", "a_003.h5", "a_master.h5"):
        one, other = ((path.parent / name).read_bytes() for path in paths)
        assert one == other


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with nexus_data.open_data_file(tmp_path / "a.h5", (2, *SHAPE)) as store:
            store(images([1])[1])
            raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("numbers", [(0, 1), ()])
def test_images_without_a_place(tmp_path, numbers):
    with pytest.raises(ValueError, match="count their images from 1"):
        nexus.check_numbers(numbers)


def test_unknown_compression():
    with pytest.raises(ValueError, match="zip is none of gzip, bitshuffle"):
        nexus_data.check_compression("zip")


def test_bitshuffle_without_its_filter(monkeypatch):
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    with pytest.raises(ValueError, match="needs the Python package hdf5plugin"):
        nexus_data.check_compression("bitshuffle")


def test_a_missing_data_file(tmp_path):
    path = write(tmp_path, [(1,), (2,)])
    os.remove(tmp_path / "a_002.h5")
    master = nexus.read_master(path)
    nexus.read_numbered(path, master, 1)
    with pytest.raises(ValueError, match="a_002.h5 is missing: put it back"):
        nexus.read_numbered(path, master, 2)
    with pytest.raises(ValueError, match="a_master.h5 holds no image 3"):
        nexus.read_numbered(path, master, 3)


def test_a_damaged_data_file(tmp_path):
    path = write(tmp_path, [(1,), (2,)])
    data = (tmp_path / "a_001.h5").read_bytes()
    (tmp_path / "a_001.h5").write_bytes(data[: len(data) // 2])
    # the pixels of one image: HDF5 finds out when it unpacks them
    other = bytearray((tmp_path / "a_002.h5").read_bytes())
    other[-900:-100] = bytes(800)
    (tmp_path / "a_002.h5").write_bytes(other)
    for number in (1, 2):
        with pytest.raises(ValueError, match=f"a_00{number}.h5 is damaged"):
            nexus.read_numbered(path, nexus.read_master(path), number)


def test_data_of_another_sweep(tmp_path):
    path = write(tmp_path, [(1,)])
    with nexus_data.open_data_file(tmp_path / "a_001.h5", (1, 8, 8)) as store:
        store(np.zeros((8, 8), np.int32))
    with pytest.raises(ValueError, match="8 × 8 pixels where .* says 32 × 24"):
        nexus.read_numbered(path, nexus.read_master(path), 1)


def test_masters_that_cannot_be_read(tmp_path):
    path = write(tmp_path, [(1,)])
    (tmp_path / "no.h5").write_bytes(b"no HDF5")
    assert not nexus.is_ours(tmp_path / "no.h5")
    assert not nexus.is_ours(tmp_path / "absent.h5")
    assert not nexus.is_ours(tmp_path / "a_001.h5")
    with pytest.raises(ValueError, match="no undamaged master file"):
        nexus.read_master(tmp_path / "a_001.h5")
    with h5py.File(path, "r+") as file:
        file[nexus.GROUP].attrs["convention"] = "TRUNCFIX_2.0"
    with pytest.raises(ValueError, match="another version .*TRUNCFIX_2.0"):
        nexus.read_master(path)
    with h5py.File(path, "r+") as file:
        file[nexus.GROUP].attrs["convention"] = nexus.CONVENTION
        file[nexus.GROUP]["files"][0] = "../a_001.h5"
    with pytest.raises(ValueError, match="names a file of another folder"):
        nexus.read_master(path)
    with h5py.File(path, "r+") as file:
        file[nexus.GROUP]["files"][0] = "a_001.h5"
        del file[nexus.GROUP]["models"]
        file[nexus.GROUP]["models"] = "{"
    with pytest.raises(ValueError, match="a_master.h5 is no undamaged master file"):
        nexus.read_master(path)


def test_sizes_that_no_file_of_this_length_holds_are_refused(tmp_path):
    path = write(tmp_path, [(1, 2)])
    with h5py.File(path, "r+") as file:
        del file[f"{nexus.GROUP}/image_number"]
        file.create_dataset(
            f"{nexus.GROUP}/image_number", (10**12,), "<i8", chunks=(9,)
        )
    with pytest.raises(ValueError, match="image_number claims 8000000000000 bytes"):
        nexus.read_master(path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset(nexus_data.DATASET, (1, 10**6, 10**6), "<i4", chunks=True)
    with pytest.raises(
        ValueError, match="b.h5 is damaged .*claims 4000000000000 bytes"
    ):
        nexus_data.read_image(tmp_path / "b.h5", 0)
