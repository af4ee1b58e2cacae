"""Finish the working copy's environment; called by environment.sh.

``describe`` runs in the Python that has DIALS and prints, as JSON, where its libtbx
build is and what its module path holds. ``finish`` runs in ``.venv``: it hands that
knowledge to every Python started from there, installs this package in place and
writes launchers. ``extras`` adds the packages of extras of setup.cfg.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "dials_truncfix"
# Distributions whose commands must run in .venv to see this package's plugins.
WITH_LAUNCHERS = ("dials", "dxtbx", "xia2", "pytest")
# Newer releases of DIALS have the programs that draw, dials.background too, in the second.
SCRIPTS = ("console_scripts", "gui_scripts")
# A second numpy or scipy over the one that DIALS was compiled with would break it.
KEPT = ("numpy", "scipy")

LAUNCHER = """\
import sys

from {module} import {function}

if __name__ == "__main__":
    sys.exit({call}())
"""


def say(message: str) -> None:
    """Write one line of what happens to standard output."""
    sys.stdout.write(f"environment: {message}\n")
    sys.stdout.flush()


def describe() -> None:
    """Write the libtbx build and the module path of this Python as JSON."""
    import libtbx.load_env  # noqa: F401  (makes libtbx.env)

    description = {
        "libtbx_build": os.path.realpath(abs(libtbx.env.build_path)),
        # The first entry is the folder of this file.
        "path": [entry for entry in sys.path[1:] if os.path.isdir(entry)],
    }
    sys.stdout.write(json.dumps(description, indent=2) + "\n")


def write_path_file(description: dict) -> None:
    """Let every Python of the venv find the modules and the build of its base.

    libtbx looks for its build below ``sys.prefix``, which in a venv is the wrong
    place. The interpreter runs the lines of a ``.pth`` file when it starts, so that
    launchers, ``python -m`` and worker processes all find the build.
    """
    lines = [entry for entry in description["path"] if entry not in sys.path]
    build = description["libtbx_build"]
    lines.append(f"import os; os.environ['LIBTBX_BUILD'] = {build!r}")
    replace_file(
        Path(sysconfig.get_path("purelib"), "dials_environment.pth"),
        "\n".join(lines) + "\n",
    )
    # For the packages that this process itself imports later on.
    os.environ["LIBTBX_BUILD"] = build


def replace_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file in one step, so that a program using it never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.chmod(mode)
    temporary.replace(path)


def shebang() -> str:
    """Return the first lines that start a script with this Python."""
    if len(sys.executable) < 120 and " " not in sys.executable:
        return f"#!{sys.executable}\n"
    # The kernel cuts long first lines and splits them at blanks: go through sh.
    return f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"


def launchers() -> Iterator[tuple[str, str]]:
    """Yield name and text of each launcher that the venv does not have by itself."""
    own = Path(sysconfig.get_path("purelib")).resolve()
    seen = set()
    for distribution in metadata.distributions():
        name = re.sub(r"^libtbx\.", "", distribution.metadata["Name"] or "").lower()
        folder = Path(str(distribution.locate_file(""))).resolve()
        # The first of a name is the one that gets imported.
        if name not in WITH_LAUNCHERS or name in seen:
            continue
        seen.add(name)
        if folder == own:
            continue
        for entry in distribution.entry_points:
            if entry.group in SCRIPTS:
                module, _, call = entry.value.partition(":")
                function = call.partition(".")[0]
                yield (
                    entry.name,
                    shebang()
                    + LAUNCHER.format(module=module, function=function, call=call),
                )


def write_launchers() -> None:
    """Put the commands of DIALS and dxtbx into the venv's bin folder."""
    scripts = Path(sysconfig.get_path("scripts"))
    found = dict(launchers())
    for name, text in found.items():
        replace_file(scripts / name, text, mode=0o755)
    say(f"{len(found)} commands of {', '.join(WITH_LAUNCHERS)} in {scripts}")


def pip_install(*arguments: str) -> None:
    """Run pip in this environment with numpy and scipy held at their versions."""
    constraints = Path(sys.prefix, "constraints.txt")
    replace_file(
        constraints,
        "".join(f"{name}=={metadata.version(name)}\n" for name in KEPT),
    )
    command = [sys.executable, "-m", "pip", "install", "-qq"]
    command += ["--disable-pip-version-check", "--constraint", str(constraints)]
    if subprocess.run([*command, *arguments]).returncode:
        sys.exit(f"environment: pip could not install: {' '.join(arguments)}")


def install_package() -> None:
    """Install this package in place, without touching what it needs."""
    say(f"{PACKAGE} is installed in place")
    arguments = ["--no-deps", "--editable", str(ROOT)]
    if util.find_spec("setuptools") and util.find_spec("wheel"):
        # Nothing to fetch: works without network.
        arguments.insert(0, "--no-build-isolation")
    pip_install(*arguments)


def requirements(extra: str = "") -> list[str]:
    """Return what the installed package requires, or what one of its extras does."""
    found = []
    for line in metadata.requires(PACKAGE) or []:
        requirement, _, marker = line.partition(";")
        in_extra = re.search(r"extra\s*==\s*[\"']([^\"']+)", marker)
        if (in_extra.group(1) if in_extra else "") == extra:
            found.append(requirement.strip())
    if extra and not found:
        sys.exit(f"environment: setup.cfg has no extra called {extra!r}")
    return found


def report_versions() -> None:
    """Import what the environment is for and tell the versions."""
    code = (
        "import sys, dials_truncfix, dxtbx.model\n"
        "from importlib import metadata\n"
        "from dials.util.version import dials_version\n"
        "print(dials_version(), 'dxtbx', metadata.version('dxtbx'), 'Python',"
        " sys.version.split()[0])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"environment: DIALS does not work in .venv:\n{run.stderr}")
    say(run.stdout.strip())


def finish(description: Path) -> None:
    """Make the environment complete: paths, this package, test packages, launchers."""
    is_venv = sys.prefix != sys.base_prefix
    if is_venv:
        write_path_file(json.loads(description.read_text()))
    install_package()
    pip_install(*requirements(), *requirements("test"))
    if is_venv:
        write_launchers()
    report_versions()


def main(arguments: list[str]) -> None:
    """Run the step named by the first argument."""
    step, *rest = arguments
    if step == "describe":
        describe()
    elif step == "finish":
        finish(Path(rest[0]))
    elif step == "extras":
        pip_install(*(item for extra in rest for item in requirements(extra)))
    else:
        sys.exit(f"unknown step {step!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
