"""The table of magnifications, and the chains that its measurements make."""

from __future__ import annotations

import numpy as np
import pytest

from dials_truncfix.calibrate.magnifications.chain import chain_magnifications
from dials_truncfix.calibrate.magnifications.magnification_table import (
    Magnification,
    format_table,
    parse_table,
    with_measurement,
    with_quarter_turns,
    without_row,
)
from dials_truncfix.calibrate.magnifications.table_words import warnings

#: Magnification, pixel size (nm) and rotation (°) of a microscope.
TRUE = {2000: (60.0, 0.0), 3000: (40.1, 9.0), 5000: (24.2, 102.0), 8000: (15.1, 95.0)}


def by_axes(**changes):
    rows = []
    for magnification, (size, turn) in TRUE.items():
        axis = (3.0 + turn + 45) % 90 - 45
        rows.append(Magnification("0", magnification, size, 0.05, axis, 0.1, **changes))
    return with_quarter_turns(rows, "0", 5000, 1)


def by_pairs(seed, error=0.01):
    rng = np.random.default_rng(seed)
    rows = [Magnification("0", 2000, 60.0, 0.06)]
    names = list(TRUE)
    for low, high in zip(names, names[1:]):
        ratio = TRUE[low][0] / TRUE[high][0] * np.exp(1e-3 * rng.standard_normal())
        turn = TRUE[high][1] - TRUE[low][1] + error * rng.standard_normal()
        rows.append(
            Magnification(
                "0",
                high,
                reference=low,
                ratio=ratio,
                ratio_error=1e-3 * ratio,
                turn_deg=turn,
                turn_error_deg=error,
            )  # fmt: skip
        )
    return rows


def test_axes_of_a_grating_and_quarter_turns():
    chain = chain_magnifications(by_axes())
    assert [m.rotation_deg for m in chain.members] == pytest.approx([0, 9, 102, 95])
    assert [m.relative_deg for m in chain.members[1:]] == pytest.approx([9, 93, -7])
    assert chain.members[3].rotation_error_deg == pytest.approx(0.1 * 6**0.5)
    assert chain.gaps == () and chain.disagreements == ()
    assert any("may be 3.0°" in text for text in warnings({"0": chain}))


def test_pairs_of_images_carry_a_pixel_size_along():
    z = []
    for seed in range(100):
        chain = chain_magnifications(by_pairs(seed)[::-1])
        last = chain.members[-1]
        assert last.pixel_size_error_nm == pytest.approx(15.1 * 2e-3, rel=0.05)
        z.append(
            [
                np.log(last.pixel_size_nm / 15.1) / 1e-3 / 3**0.5,
                (last.rotation_deg - 95.0) / last.rotation_error_deg,
            ]
        )
    spread = np.sqrt(np.mean(np.square(z), axis=0))
    assert np.all((spread > 0.8) & (spread < 1.25)), spread


def test_gaps_are_reported_and_not_bridged():
    rows = [row for row in by_axes() if row.magnification != 5000]
    rows.append(Magnification("0", 5000))
    chain = chain_magnifications(rows)
    assert chain.gaps == ((3000, 5000), (5000, 8000))
    assert [m.chain for m in chain.members] == [0, 0, 1, 2]
    assert chain.members[2].pixel_size_nm is None
    text = " ".join(warnings({"0": chain}))
    assert "nothing links the rotations of 3000 and 5000" in text
    assert "no pixel size, and no chain to one, at 5000" in text


def test_links_that_contradict_each_other_are_named():
    rows = with_measurement(
        by_axes(),
        Magnification("0", 8000, reference=3000, ratio=2.0, ratio_error=1e-3),
    )
    assert any(
        "8000 against 3000" in text for text in chain_magnifications(rows).disagreements
    )


def test_a_pixel_size_that_stands_out_is_named():
    rows = with_measurement(by_axes(), Magnification("0", 5000, 30.0, 0.01))
    text = " ".join(warnings({"0": chain_magnifications(rows)}))
    assert "5000: pixel size × magnification is +24 %" in text


def test_a_table_reads_back_as_it_was():
    rows = [*by_axes(source='a "file", with comma'), *by_pairs(1)[1:]]
    rows = [row for row in rows if row.key[1] == 2000] + [
        Magnification("K3", 2000.5, others={"note": "ä, b"})
    ]
    assert parse_table(format_table(rows), "t") == [
        Magnification(**{**vars(row), "others": {"note": row.others.get("note", "")}})
        for row in rows
    ]


def test_changes_leave_all_other_rows_alone():
    rows = by_axes()
    more = with_measurement(rows, Magnification("1", 5000, 7.0))
    assert more[:-1] == rows and more[-1].pixel_size_nm == 7.0
    changed = with_measurement(more, Magnification("0", 5000, 24.3, source="again"))
    assert [row for row in changed if row.key != ("0", 5000)] == [
        row for row in more if row.key != ("0", 5000)
    ]
    kept = changed[2]
    assert (kept.pixel_size_nm, kept.axis_deg, kept.quarter_turns) == (24.3, 15.0, 1)
    assert without_row(changed, "1", 5000) == changed[:-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no table of magnifications"),
        ("a,b\n1,2\n", "no table of magnifications"),
        ("camera,magnification\n0,many\n", "line 2: magnification is 'many'"),
        ("camera,magnification\n0,5\n0,5\n", "line 3: camera 0, magnification 5 is"),
        ("camera,magnification\n0,\n", "line 2: no magnification"),
        ("camera,magnification,pixel_size_nm\n0,5,-3\n", "has to be positive"),
        ("camera,magnification,pixel_size_nm\n0,5,nan\n", "pixel_size_nm is nan"),
        ("camera,magnification\n0,5,6\n", "more cells than columns"),
        ("camera,magnification,quarter_turns\n0,5,0.5\n", "no whole number"),
        (f"camera,magnification\n{'a' * 2**18},5\n", "line 1: field larger"),
    ],
)
def test_damaged_tables_are_refused(text, words):
    with pytest.raises(ValueError, match=words):
        parse_table(text, "t.csv")


def test_what_is_not_there_cannot_be_changed():
    for change in (
        lambda: without_row(by_axes(), "0", 4000),
        lambda: with_quarter_turns(by_axes(), "0", 4000, 1),
    ):
        with pytest.raises(ValueError, match="it has 2000, 3000, 5000, 8000"):
            change()
    with pytest.raises(ValueError, match="against itself"):
        with_measurement([], Magnification("0", 5.0, reference=5.0))
