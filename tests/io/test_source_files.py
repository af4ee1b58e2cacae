from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from dials_truncfix.io import source_files
from dials_truncfix.io.source_files import (
    BLOCK_SIZE,
    FOLDERS_VARIABLE,
    N_BLOCKS,
    ReadingRights,
    file_print,
    find_source,
    located,
    open_regular,
    printable,
    reading_rights,
    source_file,
)

STRANGER = 54321


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    path = folder / "a.img"
    path.write_bytes(np.random.default_rng(0).bytes(3_000_000))
    return path


def alone(path):
    return [path]


def described(images, folder):
    return located(source_file([images]), folder)


def rights(folder, owner=None):
    return reading_rights(
        str(folder / "side.tfx"), os.geteuid() if owner is None else owner
    )


def test_a_source_is_found_where_it_was(images, tmp_path):
    source = described(images, tmp_path)
    assert source.relative == "images/a.img"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert find_source(source, rights(elsewhere), alone) == str(images)


def test_folders_move_together(images, tmp_path):
    source = described(images, tmp_path)
    moved = tmp_path / "moved"
    moved.mkdir()
    images.parent.rename(moved / "images")
    assert find_source(source, rights(moved), alone) == str(moved / "images/a.img")


def test_other_images_beside_it_do_not_stand_in(images, tmp_path):
    source = described(images, tmp_path)
    other = tmp_path / "other"
    (other / "images").mkdir(parents=True)
    (other / "images" / "a.img").write_bytes(b"other")
    assert find_source(source, rights(other), alone) == str(images)


def test_missing(images, tmp_path):
    source = described(images, tmp_path)
    images.unlink()
    with pytest.raises(ValueError, match=r"side\.tfx needs .*a\.img, and there is no"):
        find_source(source, rights(tmp_path), alone)


def test_changed_size(images, tmp_path):
    source = described(images, tmp_path)
    os.truncate(images, 2_999_999)
    with pytest.raises(ValueError, match="2999999 bytes instead of 3000000"):
        find_source(source, rights(tmp_path), alone)


@pytest.mark.parametrize("place", [0, 1_500_000 // BLOCK_SIZE * BLOCK_SIZE, 2_999_999])
def test_changed_content(images, tmp_path, place):
    source = described(images, tmp_path)
    data = bytearray(images.read_bytes())
    # more than a gap between blocks
    data[place : place + BLOCK_SIZE * 3] = b"\0" * len(
        data[place : place + BLOCK_SIZE * 3]
    )
    images.write_bytes(data)
    with pytest.raises(ValueError, match="same size, other content"):
        find_source(source, rights(tmp_path), alone)


@pytest.mark.parametrize("size", [0, 1, BLOCK_SIZE, N_BLOCKS * BLOCK_SIZE])
def test_small_files_are_covered_whole(tmp_path, size):
    import hashlib

    data = np.random.default_rng(size).bytes(size)
    path = tmp_path / "small"
    path.write_bytes(data)
    found = file_print(str(path))
    assert (found.name, found.size) == ("small", size)
    assert found.digest == hashlib.sha256(data).hexdigest()


def test_a_file_more_or_less(images, tmp_path):
    source = described(images, tmp_path)
    with pytest.raises(ValueError, match="consists of 2 files"):
        find_source(source, rights(tmp_path), lambda path: [path, path])


def test_links_are_followed_once(images, tmp_path):
    link = tmp_path / "link.img"
    link.symlink_to(images)
    source = described(link, tmp_path)
    assert source.path == str(images)


def test_a_pipe_is_not_waited_for(images, tmp_path):
    source = described(images, tmp_path)
    images.unlink()
    os.mkfifo(images)
    told = []

    def look():
        for read in (
            lambda: find_source(source, rights(tmp_path), alone),
            lambda: open_regular(str(images)).__enter__(),
        ):
            try:
                read()
            except (ValueError, OSError) as error:
                told.append(str(error))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(10)
    assert len(told) == 2
    assert all("not a regular file" in words for words in told)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/", "/proc"])
def test_devices_and_folders_are_not_opened(images, tmp_path, path, monkeypatch):
    source = described(images, tmp_path)
    images.unlink()
    named = source_files.SourceFile(path, path, source.parts)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(ValueError, match="not a regular file"):
        find_source(named, rights(tmp_path), alone)


@pytest.mark.parametrize("path", ["a\0b", "", "\ud800", "x" * 10_000, "../" * 3000])
def test_paths_that_name_nothing(images, tmp_path, path):
    source = described(images, tmp_path)
    images.unlink()
    named = source_files.SourceFile(path, path, source.parts)
    with pytest.raises(ValueError, match=r"side\.tfx"):
        find_source(named, rights(tmp_path), alone)


def other_owner(status):
    """A file of somebody who did not write the sidecar."""
    values = list(status)
    values[4] = STRANGER + 1
    return os.stat_result(values)


def test_a_strangers_sidecar_is_held_to_its_folder(images, tmp_path):
    beside, below = tmp_path / "beside", tmp_path
    status = other_owner(os.stat(images))
    assert ReadingRights(str(below / "s.tfx"), STRANGER, ()).allow(str(images), status)
    assert not ReadingRights(str(beside / "s.tfx"), STRANGER, ()).allow(
        str(images), status
    )
    # not a folder whose name begins alike
    assert not ReadingRights(str(tmp_path / "im" / "s.tfx"), STRANGER, ()).allow(
        str(images), status
    )


def test_who_could_read_it_anyhow(images, tmp_path):
    beside = str(tmp_path / "beside" / "s.tfx")
    status = other_owner(os.stat(images))
    assert ReadingRights(beside, os.geteuid(), ()).allow(str(images), status)
    assert ReadingRights(beside, 0, ()).allow(str(images), status)
    assert ReadingRights(beside, STRANGER + 1, ()).allow(str(images), status)


def test_folders_that_the_user_allows(images, tmp_path, monkeypatch):
    beside = tmp_path / "beside"
    beside.mkdir()
    source = described(images, beside)
    with pytest.raises(ValueError, match=f"environment variable {FOLDERS_VARIABLE}"):
        find_source(source, rights(beside, STRANGER), alone)
    monkeypatch.setenv(FOLDERS_VARIABLE, f"/nowhere{os.pathsep}{images.parent}")
    assert find_source(source, rights(beside, STRANGER), alone) == str(images)


def test_a_link_does_not_lead_out_of_the_folder(images, tmp_path):
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "a.img").symlink_to(images)
    source = described(images, tmp_path)
    named = source_files.SourceFile("/nowhere", "a.img", source.parts)
    with pytest.raises(ValueError, match="outside its own folder"):
        find_source(named, rights(beside, STRANGER), alone)


def test_nor_does_a_part(images, tmp_path):
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "b.img").write_bytes(b"b")
    link = beside / "link.img"
    link.symlink_to(images)
    source = located(source_file([beside / "b.img", link]), beside)
    with pytest.raises(ValueError, match="outside its own folder"):
        find_source(source, rights(beside, STRANGER), lambda path: [path, link])


def test_messages_do_not_control_the_terminal():
    assert printable("a\x1b[2Jb\nc\ud800 é") == "a\\x1b[2Jb\\nc\\ud800 é"


def test_the_folder_of_a_linked_sidecar_is_where_it_lies(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "s.tfx").write_bytes(b"")
    (tmp_path / "s.tfx").symlink_to(tmp_path / "real" / "s.tfx")
    assert reading_rights(str(tmp_path / "s.tfx"), 1).folder == Path(tmp_path / "real")
