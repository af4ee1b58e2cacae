"""The archives that are published: what is in them, and what they install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata, util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: What only a clone needs.
OF_CLONES = {".gitignore", ".pre-commit-config.yaml"}

pytestmark = pytest.mark.slow


def run(command, **options):
    """Run a command that has to succeed; returns what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Source archive, and the wheel made from it."""
    if util.find_spec("build") is None:
        pytest.skip("build is missing: sh scripts/environment.sh packaging")
    folder = tmp_path_factory.mktemp("dist")
    run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT],
        cwd=folder,
    )
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def installed(archives, tmp_path_factory):
    """Folder with the commands of a new environment that has only the source archive."""
    folder = tmp_path_factory.mktemp("environment")
    base = Path(sys.base_prefix) / "bin" / "python3"
    run([base, "-m", "venv", "--system-site-packages", folder])
    commands = folder / "bin"
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    run([commands / "python", "-m", "pip", "install", *options, archives[0]])
    return commands


def in_installed(commands, words, folder):
    """Run a command of the new environment, away from the working copy."""
    environment = dict(os.environ, PATH=f"{commands}{os.pathsep}{os.environ['PATH']}")
    environment.pop("PYTHONPATH", None)
    return run(
        [commands / words[0], *words[1:]], cwd=folder, env=environment, stdin=None
    )


def test_twine_accepts_both(archives):
    if util.find_spec("twine") is None:
        pytest.skip("twine is missing: sh scripts/environment.sh packaging")
    printed = run([sys.executable, "-m", "twine", "check", "--strict", *archives])
    assert printed.count("PASSED") == 2


def test_the_source_archive_holds_all_that_a_clone_does(archives):
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is not a clone")
    tracked = run(["git", "ls-files", "--cached"], cwd=ROOT).split("\n")[:-1]
    wanted = {
        name
        for name in tracked
        if not name.startswith((".github/", ".ci/")) and name not in OF_CLONES
    }
    with tarfile.open(archives[0]) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
    assert wanted - held == set()


def test_the_wheel_holds_the_package_and_nothing_else(archives):
    wanted = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "dials_truncfix").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(archives[1]) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
    assert held == wanted


def test_installed_commands_explain_themselves(installed, tmp_path):
    entries = metadata.distribution("dials_truncfix").entry_points
    commands = [e.name for e in entries if e.group == "console_scripts"]
    assert commands
    for command in commands:
        assert "Examples" in in_installed(installed, [command, "-h"], tmp_path), command


def test_an_installation_reads_corrects_and_reports(installed, tmp_path):
    """Formats found by the registry, package data, and commands, end to end."""
    simulation = ["scan.n_images=10", "geometry.image_size=256,256"]
    in_installed(
        installed,
        ["dials.truncfix_simulate", *simulation, "output.directory=images"],
        tmp_path,
    )
    code = (
        "import sys, dials_truncfix\n"
        "from dials.command_line.dials_import import run\n"
        "assert dials_truncfix.__file__.startswith(sys.prefix), dials_truncfix\n"
        "run(sys.argv[1:])\n"
    )
    (recording,) = (tmp_path / "images").glob("*.tvips")
    printed = in_installed(installed, ["python", "-c", code, recording], tmp_path)
    assert "FormatTVIPS" in printed
    in_installed(
        installed, ["dials.truncfix", "imported.expt", "annuli.count=4"], tmp_path
    )
    assert (tmp_path / "truncfix.expt").exists()
    assert "<html" in (tmp_path / "dials.truncfix.html").read_text()


def test_workflows_are_of_the_form_that_they_have_to_be():
    if util.find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema is missing: sh scripts/environment.sh packaging")
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert workflows
    schema = ["--builtin-schema", "vendor.github-workflows"]
    run([sys.executable, "-m", "check_jsonschema", *schema, *workflows])
