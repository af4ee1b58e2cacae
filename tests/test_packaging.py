"""The package as installed: metadata, entry points, plugins and commands."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import dials_truncfix

PLUGIN_GROUPS = ("console_scripts", "dxtbx.format")
ROOT = Path(__file__).parents[1]


def entry_points(group: str) -> list[metadata.EntryPoint]:
    """Entry points of this package in one group."""
    found = metadata.distribution("dials_truncfix").entry_points
    return [entry for entry in found if entry.group == group]


def test_version_is_the_installed_one():
    assert metadata.version("dials_truncfix") == dials_truncfix.__version__


def test_entry_points_load():
    loaded = [entry.load() for group in PLUGIN_GROUPS for entry in entry_points(group)]
    assert loaded
    assert all(callable(item) for item in loaded)


def test_each_command_has_a_dispatcher():
    commands = {entry.name for entry in entry_points("console_scripts")}
    dispatched = {entry.name for entry in entry_points("libtbx.dispatcher.script")}
    assert commands == dispatched


def test_each_command_has_a_page_of_the_documentation():
    pages = ROOT / "docs" / "commands"
    for entry in entry_points("console_scripts"):
        module = entry.value.partition(":")[0]
        text = (pages / f"{entry.name}.rst").read_text()
        assert f".. dials-command:: {module}\n" in text


def test_the_conda_recipe_names_and_tries_each_command():
    recipe = (ROOT / "recipe" / "meta.yaml").read_text()
    for entry in entry_points("console_scripts"):
        assert f"    - {entry.name} = {entry.value}\n" in recipe
        assert f"    - {entry.name} -h\n" in recipe


def rendered_recipe() -> dict:
    """The recipe as conda-build reads it."""
    jinja2 = pytest.importorskip("jinja2")
    yaml = pytest.importorskip("yaml")
    text = (ROOT / "recipe" / "meta.yaml").read_text()
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    return yaml.safe_load(template.render(PYTHON="python", python_min="3.9"))


def test_the_conda_recipe_has_what_conda_forge_asks_for():
    """The linter of conda-forge is not on PyPI: what it asks of every recipe."""
    recipe = rendered_recipe()
    assert list(recipe) == [
        "package",
        "source",
        "build",
        "requirements",
        "test",
        "about",
        "extra",
    ]
    assert recipe["build"]["noarch"] == "python"
    assert isinstance(recipe["build"]["number"], int)
    assert {"license", "license_file", "summary"} <= set(recipe["about"])
    assert recipe["extra"]["recipe-maintainers"]
    assert recipe["test"]["imports"] and recipe["test"]["commands"]
    assert {"python 3.9", "pip"} <= set(recipe["requirements"]["host"])


def test_the_conda_recipe_requires_what_the_package_does():
    needed = {
        re.match(r"[\w.-]+", line).group()
        for line in metadata.requires("dials_truncfix")
        if "extra" not in line
    }
    # without these two there is no report, which conda users expect
    needed |= {"dials", "jinja2", "plotly"}
    given = {line.split()[0] for line in rendered_recipe()["requirements"]["run"]}
    assert needed <= given
    assert {"python"} <= given


def test_versions_agree():
    version = dials_truncfix.__version__
    assert f'version = "{version}"' in (ROOT / "recipe" / "meta.yaml").read_text()
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_nothing_that_breaks_dials_is_required():
    required = {
        re.match(r"[\w.-]+", line).group().lower().replace("_", "-")
        for line in metadata.requires("dials_truncfix")
    }
    assert required.isdisjoint({"dials", "dxtbx", "cctbx", "cctbx-base", "xia2"})


def test_formats_load_without_what_dials_does_not_bring():
    """A format that fails to import breaks every dials.import of its installation."""
    code = (
        "import sys\n"
        "sys.modules['tifffile'] = None\n"
        "from importlib import metadata\n"
        "for entry in metadata.distribution('dials_truncfix').entry_points:\n"
        "    if entry.group == 'dxtbx.format':\n"
        "        entry.load()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_formats_are_in_the_registry():
    ours = [entry.name.partition(":")[0] for entry in entry_points("dxtbx.format")]
    registry = importlib.import_module("dxtbx.format.Registry")
    known = set(registry.get_format_class_index())
    assert set(ours) <= known


def test_commands_of_dials_see_this_environment():
    """A launcher beside the running Python starts without help from its caller."""
    bin_folder = Path(sys.executable).parent
    launcher = bin_folder / "dials.version"
    if not launcher.exists():
        pytest.skip("DIALS' commands are not beside this Python")
    environment = {k: v for k, v in os.environ.items() if k != "LIBTBX_BUILD"}
    run = subprocess.run(
        [launcher], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "DIALS" in run.stdout


def test_every_command_of_dials_is_beside_this_python():
    """Those that draw too: elsewhere they would not see this package."""
    bin_folder = Path(sys.executable).parent
    if not (bin_folder / "dials.version").exists():
        pytest.skip("DIALS' commands are not beside this Python")
    commands = {
        entry.name
        for entry in metadata.distribution("dials").entry_points
        if entry.group in ("console_scripts", "gui_scripts")
    }
    assert {"dials.image_viewer", "dials.background"} <= commands
    assert {name for name in commands if not (bin_folder / name).exists()} == set()


def test_working_copy_environment_sets_libtbx_build():
    """A Python of the venv imports DIALS with a bare environment."""
    code = "import dxtbx.model, dials_truncfix; print(dials_truncfix.__file__)"
    environment = {k: v for k, v in os.environ.items() if k != "LIBTBX_BUILD"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == dials_truncfix.__file__


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 has no such list")
def test_no_benchmark_takes_the_name_of_a_standard_module():
    """Scripts find their neighbours first: others would import the wrong one."""
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert names.isdisjoint(sys.stdlib_module_names)
