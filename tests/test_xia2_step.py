"""The correction as a step of xia2, where there is one."""

from __future__ import annotations

import pytest

from dials_truncfix.xia2_step import Truncfix, xia2_arguments
from recordings import imported, record, true_frames


def test_arguments_name_the_images_by_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = xia2_arguments("a/b_0003.img", 3, 20)
    assert arguments[1] == f"image={tmp_path}/a/b_0003.img:3:20"


def test_xia2_runs_the_step(tmp_path, monkeypatch):
    pytest.importorskip("xia2", reason="xia2 is not installed")
    monkeypatch.chdir(tmp_path)
    step = Truncfix()
    step.set_working_directory(str(tmp_path))
    step.set_experiments_filename(
        str(imported(record(tmp_path, true_frames()), tmp_path))
    )
    step.run()
    assert (tmp_path / step.get_output_experiments_filename()).is_file()
    assert (tmp_path / step.get_html()).is_file()


def test_a_step_without_experiments_is_refused(tmp_path):
    pytest.importorskip("xia2", reason="xia2 is not installed")
    with pytest.raises(ValueError, match="no experiments"):
        Truncfix().run()
