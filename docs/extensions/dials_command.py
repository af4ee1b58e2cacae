"""The directive ``dials-command``: help and parameters of a command, from its module.

``.. dials-command:: dials_truncfix.command_line.truncfix`` renders the docstring of the
module, which is what ``-h`` prints, and every parameter of its ``phil_scope``.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx


def definitions(scope: Any) -> Iterator[Any]:
    """Yield all definitions below a scope, in order."""
    for item in scope.objects:
        if item.is_definition:
            yield item
        else:
            yield from definitions(item)


def groups(scope: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield runs of definitions, those that stand alone and those of each group."""
    alone: list[Any] = []
    for item in scope.objects:
        if item.is_definition:
            alone.append(item)
            continue
        if alone:
            yield "", alone
            alone = []
        yield item.name, list(definitions(item))
    if alone:
        yield "", alone


def default(definition: Any) -> str:
    """Return the value that a parameter has when it is not given; of a choice, all."""
    return " ".join(str(word) for word in definition.words)


def kind(definition: Any) -> str:
    """Return type and bounds of a parameter, and its expert level where it has one."""
    # that it can be None shows where it is
    type_name = re.sub(r"(, |(?<=\())allow_none=True", "", str(definition.type))
    level = definition.expert_level
    return type_name.replace("()", "") + (f", expert level {level}" if level else "")


def entry(definition: Any, line: int) -> nodes.definition_list_item:
    """Describe one parameter of a directive that stands in a line."""
    term = nodes.term()
    path = definition.full_path()
    term += nodes.literal(path, f"{path} = {default(definition)}")
    classifier = nodes.classifier("", kind(definition))
    text = nodes.paragraph("", definition.help or "")
    item = nodes.definition_list_item("", term, classifier, nodes.definition("", text))
    # Sphinx counts on it
    item.line = line
    return item


class DialsCommand(Directive):
    """Help and parameters of the command whose module is named."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Render the module."""
        module = importlib.import_module(self.arguments[0])
        environment = self.state.document.settings.env
        environment.note_dependency(inspect.getsourcefile(module))
        text = nodes.container()
        lines = inspect.getdoc(module).splitlines()
        self.state.nested_parse(
            StringList(lines, source=module.__name__), self.content_offset, text
        )
        section = nodes.section(ids=["parameters"])
        section += nodes.title("", "Parameters")
        for name, members in groups(module.phil_scope):
            if name:
                section += nodes.rubric("", name)
            section += nodes.definition_list(
                "", *(entry(member, self.lineno) for member in members)
            )
        return [*text.children, section]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("dials-command", DialsCommand)
    return {"parallel_read_safe": True}
