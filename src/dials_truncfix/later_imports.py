"""Large packages that DIALS imports and that few of its functions use, imported by these.

``pandas`` and ``sklearn.cluster`` come with the tables and models of DIALS. They make some
tables and cluster the panels of detectors of many; every process that corrects images would
spend a second and 50 MB on them. Commands and their processes put them off; where this
package is used as a library all stays as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: What is asked of all modules by those who look through them.
_ASKED_OF_ALL = ("__file__", "__warningregistry__", "__wrapped__")
#: What is put off, parents before what is in them.
NAMES = ("pandas", "sklearn", "sklearn.cluster")


class LaterModule(ModuleType):
    """Stands for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        """Import the module, and take this from it."""
        if name in _ASKED_OF_ALL:
            raise AttributeError(name)
        return getattr(_imported(self.__name__), name)


def _imported(name: str) -> ModuleType:
    """Import a module for which another stands, and its parents."""
    for other in NAMES:
        if isinstance(sys.modules.get(other), LaterModule):
            top = other.partition(".")[0]
            if top == name.partition(".")[0]:
                del sys.modules[other]
    return importlib.import_module(name)


def import_later() -> None:
    """Let the packages be imported when they are used first.

    Those that are there already, or that are not installed, are left alone.
    """
    for name in NAMES:
        top = name.partition(".")[0]
        parent = sys.modules.get(top)
        if name in sys.modules:
            continue
        if top == name:
            spec = importlib.util.find_spec(name)
        elif isinstance(parent, LaterModule):
            # to find it would import its parent
            spec = ModuleSpec(name, None)
        else:
            spec = None
        if spec is None:
            continue
        sys.modules[name] = module = LaterModule(name)
        # asked for by who wants to know whether the package is installed
        module.__spec__ = spec
        if parent is not None:
            setattr(parent, name.rpartition(".")[2], module)
