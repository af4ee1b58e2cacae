"""Spawned processes that do not import the script of the process that starts them.

A spawned process imports the main module of its parent, as the functions to be called
may be defined there. Ours never are: the command line would only cost every process
memory and time, and a script that calls a command without ``if __name__ ==
"__main__"`` would begin once more in each of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any


@contextmanager
def _without_main() -> Iterator[None]:
    """Show an empty module to whoever asks for the main one."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class _BareProcess(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        # here the parent tells what the new process has to import
        with _without_main():
            return SpawnProcess._Popen(process_obj)


class BareSpawnContext(SpawnContext):
    """As ``multiprocessing.get_context("spawn")``, without the main module."""

    Process = _BareProcess
