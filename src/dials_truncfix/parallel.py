"""One seam for parallel work: the same task function on any number of processes."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Callable, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Numerical libraries start threads of their own; with one process a core these
#: threads only fight each other.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


#: Tasks sent ahead of the result awaited, for each process: enough to keep all of them at
#: work, and few enough that neither tasks nor results pile up in memory.
_AHEAD = 3


def available_processes() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


class TaskMap:
    """Applies functions to tasks, in order, on an executor or in this process."""

    def __init__(self, executor: Executor | None = None, nproc: int = 1) -> None:
        """Use the executor of so many processes, or this process when there is none."""
        self._executor = executor
        self._ahead = _AHEAD * nproc

    def __call__(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Yield ``function(task)`` for every task, in the tasks' order.

        Parameters
        ----------
        function : callable
            A function at the top level of a module: it is sent by name.
        tasks : iterable
            Each is pickled; no result may depend on any other task. They are taken a few
            ahead of the results, so that they need not all be in memory.

        Yields
        ------
        result
            One for each task.

        Raises
        ------
        Exception
            The first exception that a task raises.
        """
        if self._executor is None:
            yield from map(function, tasks)
            return
        waiting: deque[Future[Result]] = deque()
        for task in tasks:
            waiting.append(self._executor.submit(function, task))
            if len(waiting) > self._ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def task_map(nproc: int = 1) -> Iterator[TaskMap]:
    """Provide a map over `nproc` processes; with one, all happens in this process.

    When the context ends, also by an exception, tasks not yet started are dropped
    and running ones have ended: nothing writes any more.

    Raises
    ------
    ValueError
        When `nproc` is below 1.
    """
    if nproc < 1:
        raise ValueError(f"nproc is {nproc}: at least one process is needed")
    if nproc == 1:
        yield TaskMap()
        return
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    # spawn: a fork would copy the locks of whatever threads are running
    pool = ProcessPoolExecutor(nproc, multiprocessing.get_context("spawn"))
    try:
        yield TaskMap(pool, nproc)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
