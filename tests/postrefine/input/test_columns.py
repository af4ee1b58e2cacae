from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.postrefine.input.columns import make_column


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("width", [1, 3])
def test_ranges_come_back_as_written(tmp_path, on_disk, width):
    column = make_column(tmp_path if on_disk else None, "x", 10, np.int32, width)
    values = np.arange(4 * width).reshape((4, width) if width > 1 else 4)
    column.write(3, values)
    np.testing.assert_array_equal(column.read(3, 7), values)
    np.testing.assert_array_equal(column.read(4, 6), values[1:3])
    assert not column.read(0, 3).any() and not column.read(7, 10).any()


def test_files_grow(tmp_path):
    column = make_column(tmp_path, "x", 0, np.float64)
    column.write(0, np.ones(5))
    column.write(5, np.zeros(2))
    np.testing.assert_array_equal(column.read(0, 7), [1, 1, 1, 1, 1, 0, 0])


def test_errors_name_the_file(tmp_path):
    column = make_column(tmp_path, "x", 0, np.float64)
    column.path.unlink()
    with pytest.raises(OSError) as error:
        column.write(0, np.ones(5))
    assert error.value.filename == str(column.path)
