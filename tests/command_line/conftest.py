from __future__ import annotations

import os

import pytest

from dials_truncfix.command_line.truncfix import run
from recordings import imported, record, true_frames
from truncfix_runs import SMALL


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    return record(tmp_path_factory.mktemp("movie"), true_frames())


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test works in an empty folder: commands write to the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def corrected(recording, tmp_path_factory):
    """One run with default output, in a folder of its own."""
    folder = tmp_path_factory.mktemp("corrected")
    before = os.getcwd()
    os.chdir(folder)
    try:
        run([str(imported(recording, folder)), *SMALL])
    finally:
        os.chdir(before)
    return folder
