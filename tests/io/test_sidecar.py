from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dials_truncfix.io import sidecar
from dials_truncfix.io.sidecar import (
    MAGIC,
    SCHEMA,
    format_sidecar,
    is_sidecar,
    read_sidecar,
)


def written(tmp_path, text):
    path = tmp_path / "truncfix.tfx"
    path.write_bytes(text)
    return str(path)


def test_content_comes_back(tmp_path):
    content = {"recipe": {"a": [0.1, 1e-300, "Å", None, -0.0]}}
    path = written(tmp_path, format_sidecar(content, "0.1.0"))
    assert is_sidecar(path)
    read = read_sidecar(path)
    assert (read.content, read.version) == (content, "0.1.0")
    assert (read.rights.owner, read.rights.folder) == (os.geteuid(), tmp_path)


def test_it_is_json_with_magic_first_bytes():
    text = format_sidecar({"recipe": {}}, "0.1.0")
    assert text.startswith(MAGIC)
    assert json.loads(text)["truncfix_sidecar"] == SCHEMA


def test_numbers_that_json_does_not_know_are_not_written():
    with pytest.raises(ValueError):
        format_sidecar({"recipe": float("nan")}, "0.1.0")


def test_another_schema(tmp_path):
    path = written(tmp_path, MAGIC + b' 3, "version": "9.0\\u001b"}')
    with pytest.raises(
        ValueError,
        match=r"9\.0\\x1b as schema 3, and this version reads schema 2: run",
    ):
        read_sidecar(path)


@pytest.mark.parametrize(
    "rest, words",
    [
        (b"", "damaged"),
        (b" 1", "damaged"),
        (b" 1}", "no version"),
        (b' true, "version": "1"}', "no version"),
        (b' "1", "version": "1"}', "no version"),
        (b' 1, "version": 3}', "no version"),
        (b' 1, "version": "1", "a": NaN}', "NaN is not JSON"),
        (b' 1, "version": "1", "a": -Infinity}', "Infinity is not JSON"),
        (b' 1, "version": "1", "a": ' + b"9" * 1000 + b"}", "1000 digits"),
        (b' 1, "version": "\xff"}', "damaged"),
        (b" " + b"[" * 100_000, "brackets in brackets|damaged"),
        (b' 1, "version": "1"} {', "damaged"),
    ],
)
def test_damage(tmp_path, rest, words):
    path = written(tmp_path, MAGIC + rest)
    assert is_sidecar(path)
    with pytest.raises(ValueError, match=words):
        read_sidecar(path)


@given(st.binary(max_size=60))
def test_no_bytes_crash_it(tmp_path_factory, tail):
    folder = tmp_path_factory.mktemp("fuzz", numbered=True)
    path = written(folder, MAGIC + tail)
    with pytest.raises(ValueError):
        read_sidecar(path)
    with pytest.raises(ValueError, match="no sidecar"):
        read_sidecar(written(folder, tail))


def test_a_sidecar_larger_than_any_is_not_read(tmp_path, monkeypatch):
    text = format_sidecar({"recipe": {}}, "0.1.0")
    monkeypatch.setattr(sidecar, "MAX_BYTES", len(text) - 1)
    with pytest.raises(ValueError, match="larger than any"):
        read_sidecar(written(tmp_path, text))
    with pytest.raises(ValueError, match=r"output\.format=cbf"):
        format_sidecar({"recipe": {}}, "0.1.0")


def test_what_is_no_file_is_no_sidecar(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero", tmp_path / "no", "a\0b"):
        assert not is_sidecar(str(path))
    assert not is_sidecar(None)
    with pytest.raises(OSError, match="not a regular file"):
        read_sidecar(str(tmp_path / "pipe"))
