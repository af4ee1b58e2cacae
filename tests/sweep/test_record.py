from __future__ import annotations

import json

import numpy as np

from dials_truncfix.sweep.record import as_json


def test_numbers_that_are_not_finite_become_null():
    record = {
        "a": float("nan"),
        "b": [np.float64("inf"), np.int64(3), np.float32(0.5), np.bool_(True)],
        "c": ("text", None, {"d": -np.inf}),
        1: "Å",
    }
    assert json.loads(as_json(record)) == {
        "a": None,
        "b": [None, 3, 0.5, True],
        "c": ["text", None, {"d": None}],
        "1": "Å",
    }
