from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from dials_truncfix.io.numpy_archive import parse_array, read_arrays


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(tmp_path, save):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array("text"), "c": np.eye(2)}
    save(tmp_path / "a.npz", **arrays)
    read = read_arrays(tmp_path / "a.npz", ["a", "b"])
    assert set(read) == {"a", "b"}
    for name in read:
        np.testing.assert_array_equal(read[name], arrays[name])
    with pytest.raises(ValueError, match="no item named 'd.npy'"):
        read_arrays(tmp_path / "a.npz", ["d"])


def test_claims_and_objects_are_refused_without_memory(tmp_path):
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**9,)}
    )
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}]), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", header.getvalue())
        archive.writestr("b.npy", pickled.getvalue())
    tracemalloc.start()
    try:
        for name, words in (("a", "does not hold them"), ("b", "allow_pickle=False")):
            with pytest.raises(ValueError, match=words):
                read_arrays(path, [name])
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    path.write_bytes(b"PK\3\4 no archive")
    with pytest.raises(ValueError, match="not a zip file"):
        read_arrays(path, ["a"])


def test_an_array_that_stands_alone():
    stream = io.BytesIO()
    np.save(stream, np.arange(6).reshape(2, 3))
    content = stream.getvalue()
    np.testing.assert_array_equal(parse_array(content), [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(ValueError, match=r"claims \(2, 3\) numbers and does not hold"):
        parse_array(content[:-1])
    with pytest.raises(ValueError, match="magic string"):
        parse_array(b"no array at all")
