from __future__ import annotations

import pytest

from dials.array_family import flex

from dials_truncfix.io.reflection_file import layout_version


def test_the_version_is_read_from_what_dials_writes(tmp_path):
    path = tmp_path / "a.refl"
    flex.reflection_table().as_file(str(path))
    content = bytearray(path.read_bytes())
    assert layout_version(path) in (1, 2)
    content[content.index(b"reflection_table") + len("reflection_table")] = 7
    path.write_bytes(content)
    assert layout_version(path) == 7


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04pickle", b"\x93\xbbdials::af::refl"]
)
def test_other_files_are_named(tmp_path, content):
    path = tmp_path / "other.refl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other.refl: not a reflection file"):
        layout_version(path)
