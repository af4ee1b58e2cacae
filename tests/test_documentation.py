"""The documentation names commands and parameters that exist, and its excerpts are real."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.rst")), ROOT / "README.rst"]
EXCERPTS = DOCS / "excerpts"

sys.path.insert(0, str(DOCS))
run_tutorials = importlib.import_module("run_tutorials")
sys.path.remove(str(DOCS))

# Commands of DIALS whose module has not their name.
_MODULES = {"import": "dials_import"}
# Commands of DIALS whose parameters the pages name.
_OTHERS = (
    "dials.import",
    "dials.find_spots",
    "dials.index",
    "dials.refine",
    "dials.integrate",
    "dials.scale",
    "dials.merge",
    "dials.export",
    "dials.stills_process",
    "dials.generate_mask",
    "dials.generate_distortion_maps",
)
# Names with an equals sign or a dot in literals that are no parameters: arguments of
# other programs, and columns of reflections.
_NO_PARAMETERS = {
    "NAME_TEMPLATE_OF_DATA_FRAMES",
    "cores",
    "dials.integrate.background_algorithm",
    "dials.integrate.background_outlier_algorithm",
    "image",
    "intensity.scale.value",
    "jobs",
    "memory",
    "pipeline",
    "processes",
    "replicates.sum.within",
    "small_molecule",
    "walltime",
}
_ANY = "*"
_FILE_SUFFIXES = (
    "cbf expt refl json html log mtz phil png py rst img tif tiff mrc mdoc tvips frames "
    "pickle tfx h5 npz npy stream pdb mat cfg toml txt yml dm3 dm4 mask cff mrcs out sh"
).split()


def our_commands() -> dict[str, str]:
    found = metadata.distribution("dials_truncfix").entry_points
    return {
        entry.name: entry.value.partition(":")[0]
        for entry in found
        if entry.group == "console_scripts"
    }


@cache
def phil_scope(command: str):
    module = our_commands().get(command)
    if module is None:
        name = command.partition(".")[2]
        module = f"dials.command_line.{_MODULES.get(name, name)}"
    found = importlib.import_module(module)
    return getattr(found, "phil_scope", None) or found.scope


@cache
def parameters() -> frozenset[str]:
    """Paths of all parameters and scopes that a page may name."""
    paths = set()
    for command in (*our_commands(), *_OTHERS):
        for definition in phil_scope(command).all_definitions():
            words = definition.path.split(".")
            paths.update(".".join(words[:n]) for n in range(1, len(words) + 1))
    return frozenset(paths)


@cache
def endings() -> frozenset[str]:
    """Whatever phil takes for a parameter: ends of their paths."""
    return frozenset(
        ".".join(path.split(".")[n:])
        for path in parameters()
        for n in range(path.count(".") + 1)
    )


@cache
def choices() -> dict[str, set[str]]:
    """What each choice can be, by the ends of its path."""
    found: dict[str, set[str]] = {}
    for command in (*our_commands(), *_OTHERS):
        for definition in phil_scope(command).all_definitions():
            kind = definition.object.type
            values = {word.value.strip("*") for word in definition.object.words}
            names = definition.path.split(".")
            for n in range(len(names)):
                known = found.setdefault(".".join(names[n:]), set())
                known |= values if kind and kind.phil_type == "choice" else {_ANY}
    return found


def tutorial_commands() -> list[list[str]]:
    return [
        shlex.split(line)
        for page in run_tutorials.PAGES
        for step in run_tutorials.steps((DOCS / page).read_text())
        if isinstance(step, run_tutorials.Commands)
        for line in step.lines()
    ]


def test_tutorials_have_commands_and_excerpts():
    for page in run_tutorials.PAGES:
        kinds = [type(step) for step in run_tutorials.steps((DOCS / page).read_text())]
        assert kinds.count(run_tutorials.Commands) >= 4
        assert kinds.count(run_tutorials.Excerpt) >= 4


@pytest.mark.parametrize("words", tutorial_commands(), ids=" ".join)
def test_commands_of_tutorials_are_accepted(words):
    command, *arguments = words
    if command in ("cd", "mkdir"):
        return
    scope = phil_scope(command)
    interpreter = scope.command_line_argument_interpreter()
    given = [interpreter.process(word) for word in arguments if "=" in word]
    # values out of range are refused here
    scope.fetch(sources=given).extract()


def test_excerpts_shown_are_those_that_the_tutorials_make():
    shown = {
        name
        for page in PAGES
        for name in re.findall(r"^\.\. excerpt:: (\S+)", page.read_text(), re.MULTILINE)
    }
    made = {
        step.name
        for page in run_tutorials.PAGES
        for step in run_tutorials.steps((DOCS / page).read_text())
        if isinstance(step, run_tutorials.Excerpt)
    }
    assert shown == made
    stored = {path.name for path in EXCERPTS.iterdir()} - {run_tutorials.VERSION}
    assert stored == made


def test_images_shown_are_there_and_all_there_are_shown():
    shown = {
        name
        for page in DOCS.glob("*.rst")
        for name in re.findall(r"image:: images/(\S+)", page.read_text())
    }
    assert shown == {path.name for path in (DOCS / "images").iterdir()}


def literals(text: str) -> list[str]:
    """Inline literals, and lines of commands and parameters in blocks."""
    found = re.findall(r"``([^`]+)``", text)
    lines = text.replace("\\\n", " ").splitlines()
    pattern = re.compile(r"\s+((dials|xia2)\.\S|[a-z][\w.]*=\S)")
    found += [line for line in lines if pattern.match(line)]
    return found


def named_parameters(text: str) -> set[str]:
    """Names that are written like parameters: before an equals sign, or with dots."""
    names: set[str] = set()
    for literal in literals(text):
        for name in re.findall(r"(?<![\w.#/])([a-z][\w.]*)=", literal):
            names.add(name)
        if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", literal):
            first, last = literal.split(".")[0], literal.split(".")[-1]
            if last not in _FILE_SUFFIXES and first in parameters():
                names.add(literal)
    return names - _NO_PARAMETERS


def texts() -> dict[str, str]:
    """Pages, and the help of the commands; not the page of commands that are DIALS' own."""
    found = {page.name: page.read_text() for page in PAGES}
    found.pop("neighbours.rst", None)
    for command, module in our_commands().items():
        found[f"{command} -h"] = importlib.import_module(module).__doc__
    return found


@pytest.mark.parametrize("text", texts().values(), ids=texts())
def test_parameters_named_exist(text):
    names = {
        # xia2.truncfix hands these on
        re.sub(r"^truncfix\.", "", name)
        for name in named_parameters(text)
    }
    assert sorted(name for name in names if name not in endings()) == []


@pytest.mark.parametrize("text", texts().values(), ids=texts())
def test_choices_named_exist(text):
    wrong = [
        f"{name}={value}"
        for literal in literals(text)
        for name, value in re.findall(r"(?<![\w.#/])([a-z][\w.]*)=(\w+)", literal)
        if not {value, _ANY} & choices().get(name, {_ANY})
    ]
    assert wrong == []


@pytest.mark.parametrize("command", our_commands())
def test_help_has_examples_of_the_command(command):
    text = importlib.import_module(our_commands()[command]).__doc__
    examples = text.partition("Examples::")[2]
    assert len(re.findall(rf"^  {re.escape(command)} ", examples, re.MULTILINE)) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_named_exist(page):
    named = re.findall(r"``((?:dials|xia2)\.truncfix\w*)", page.read_text())
    # names of files begin like commands
    assert set(named) <= set(our_commands())


def test_excerpts_compare_words_exactly_and_numbers_nearly():
    differences = run_tutorials.differences
    assert differences("gain 9.12 ADU\n", "gain 9.15 ADU\n") == []
    assert differences("| 1 | 0.93 |\n", "| 1 |  0.930 |\n") == []
    assert differences("gain 9.12 ADU\n", "gain 9.52 ADU\n") != []
    assert differences("gain 9.12 ADU\n", "slope 9.12 ADU\n") != []
    assert differences("one\n", "one\ntwo\n") != []


def test_an_excerpt_is_the_last_of_its_kind_and_ends_with_its_table():
    table = "Table\n+--+\n| a |\n+--+\n| %d |\n+--+\n"
    log = table % 1 + table % 2 + "after\n+--+\n"
    excerpt = run_tutorials.Excerpt("x", "x.log", "Table", r".*\+-+.*\+$")
    assert excerpt.cut(log) == table % 2
    for first, last in (("nowhere", "after"), ("Table", "nowhere")):
        with pytest.raises(ValueError, match="no line"):
            run_tutorials.Excerpt("x", "x.log", first, last).cut(log)


@pytest.mark.slow
def test_tutorials_still_give_what_their_pages_show():
    made_by = (EXCERPTS / run_tutorials.VERSION).read_text().strip()
    if run_tutorials.dials_version() != made_by:
        pytest.skip(f"the excerpts are of DIALS {made_by}")
    done = subprocess.run(
        [sys.executable, DOCS / "run_tutorials.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
