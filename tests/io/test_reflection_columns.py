from __future__ import annotations

import numpy as np
import pytest

from dials.array_family import flex

from dials_truncfix.io.reflection_columns import numbers, read_columns


@pytest.fixture
def table():
    n = 400
    result = flex.reflection_table()
    result["id"] = flex.int([i // 3 for i in range(n)])
    result["miller_index"] = flex.miller_index([(i, -i, 2 * i) for i in range(n)])
    result["x"] = flex.double([0.1 * i for i in range(n)])
    result["flags"] = flex.size_t(range(n))
    result["good"] = flex.bool([i % 3 == 0 for i in range(n)])
    result["s1"] = flex.vec3_double([(i, 0.5, -i) for i in range(n)])
    result["name"] = flex.std_string(["a"] * n)
    for number in range(1 + (n - 1) // 3):
        result.experiment_identifiers()[number] = f"lattice {number} " + "x" * (
            number % 50
        )
    return result


@pytest.fixture
def path(table, tmp_path):
    result = tmp_path / "a.refl"
    table.as_file(str(result))
    return result


def test_heads_say_what_the_table_does(table, path):
    columns = read_columns(path)
    assert columns.n_rows == len(table)
    assert columns.identifiers == dict(table.experiment_identifiers())
    # what DIALS writes of strings are addresses
    assert set(columns.columns) == set(table.keys()) - {"name"}
    np.testing.assert_array_equal(
        numbers(columns.rows("id"), "<i4"), table["id"].as_numpy_array()
    )


@pytest.mark.parametrize("rows", [slice(100, 317), np.array([5, 399, 5, 17])])
def test_rows_are_those_that_dials_reads(table, path, rows):
    """Every column, bit by bit, for ranges and for rows in any order."""
    part = flex.reflection_table.from_msgpack(read_columns(path).packed(rows))
    positions = np.arange(len(table))[rows]
    expected = table.select(flex.size_t(positions.tolist()))
    for name in set(table.keys()) - {"name"}:
        assert list(part[name]) == list(expected[name])


@pytest.mark.parametrize("part", [0.02, 0.5, 0.99])
def test_damaged_files_are_refused(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match="a.refl"):
        read_columns(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "b.refl").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="not a reflection file"):
        read_columns(tmp_path / "b.refl")
