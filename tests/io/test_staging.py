from __future__ import annotations

import pytest

from dials_truncfix.io.staging import staging_folder


def test_files_appear_when_all_went_well(tmp_path):
    destination = tmp_path / "new" / "folder"
    with staging_folder(destination) as staging:
        (staging / "a").write_text("1")
        assert not (destination / "a").exists()
    assert [p.name for p in destination.iterdir()] == ["a"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception(tmp_path, error):
    with pytest.raises(error), staging_folder(tmp_path / "new" / "folder") as staging:
        (staging / "a").write_text("1")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_keeps_what_it_holds(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError), staging_folder(tmp_path) as staging:
        (staging / "a").write_text("new")
        raise OSError
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"
