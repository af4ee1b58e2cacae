"""One seam for parallel work: the same task function on any number of processes.

Processes of this machine, ranks of MPI and workers of a dask cluster all are behind an
executor of concurrent.futures. No result depends on which of them does the work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Generic, TypeVar

from dials_truncfix.executors import MOST_DEATHS, Pool, Workers, pool_of

Task = TypeVar("Task")
Result = TypeVar("Result")
#: ``map(function, tasks)``, on any number of processes: what `task_map` provides.
Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

#: Numerical libraries start threads of their own; with one process a core these
#: threads only fight each other.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
#: Tasks sent ahead of the result awaited, for each process: enough to keep all of them at
#: work, and few enough that neither tasks nor results pile up in memory.
_AHEAD = 3


@dataclass
class _Sent(Generic[Task, Result]):
    """A task and where its result will be."""

    task: Task
    future: Future[Result]

    @property
    def is_lost(self) -> bool:
        """Whether its process died, or it never started."""
        return (
            not self.future.done()
            or self.future.cancelled()
            or isinstance(self.future.exception(), BrokenExecutor)
        )


class TaskMap:
    """Applies functions to tasks, in order, on an executor or in this process."""

    def __init__(self, pool: Pool | None = None) -> None:
        """Use the pool, or this process when there is none."""
        self._pool = pool
        self._queues: list[deque[_Sent[Any, Any]]] = []

    def __call__(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Yield ``function(task)`` for every task, in the tasks' order.

        Tasks of a process that is killed are done again by another.

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
        ChildProcessError
            When processes die again and again.
        Exception
            The first exception that a task raises.
        """
        pool = self._pool
        if pool is None:
            yield from map(function, tasks)
            return
        waiting: deque[_Sent[Task, Result]] = deque()
        self._queues.append(waiting)
        for task in tasks:
            waiting.append(_Sent(task, _submit(pool, function, task)))
            if len(waiting) > _AHEAD * pool.size:
                yield _first(pool, function, waiting)
        while waiting:
            yield _first(pool, function, waiting)
        self._queues = [queue for queue in self._queues if queue is not waiting]

    def drop(self) -> None:
        """Drop the tasks not yet started, and wait for the running ones."""
        futures = [sent.future for queue in self._queues for sent in queue]
        self._queues.clear()
        # all are cancelled before the first is waited for
        wait([future for future in futures if not future.cancel()])

    def part(self) -> TaskMap:
        """Return a map over the same processes whose tasks can be dropped by themselves."""
        return TaskMap(self._pool)


def _submit(
    pool: Pool, function: Callable[[Task], Result], task: Task
) -> Future[Result]:
    try:
        return pool.executor.submit(function, task)
    except BrokenExecutor as error:
        # found out, and mended, when its result is asked for
        lost: Future[Result] = Future()
        lost.set_exception(error)
        return lost


def _first(
    pool: Pool,
    function: Callable[[Task], Result],
    waiting: deque[_Sent[Task, Result]],
) -> Result:
    """Wait for the first of the results, and take it from the queue."""
    for _ in range(MOST_DEATHS):
        try:
            result = waiting[0].future.result()
        except BrokenExecutor:
            pool.start_again()
            for sent in waiting:
                if sent.is_lost:
                    sent.future = _submit(pool, function, sent.task)
        else:
            waiting.popleft()
            return result
    raise ChildProcessError(
        f"processes were killed {MOST_DEATHS} times over one task: if memory ran out, "
        "fewer of them (mp.nproc) need less"
    )


@contextmanager
def task_map(workers: Workers | TaskMap | int = 1) -> Iterator[TaskMap]:
    """Provide a map over processes; with one of this machine, all happens in this one.

    When the context ends, also by an exception, tasks not yet started are dropped
    and running ones have ended, but for those of a dask cluster, which ends them later.

    Parameters
    ----------
    workers : Workers, TaskMap or int
        Who does the work, or how many processes of this machine. Those of another map
        go on when the context ends.

    Raises
    ------
    ValueError
        When there are no processes, or the cluster cannot be used.
    """
    if isinstance(workers, TaskMap):
        tasks = workers.part()
        try:
            yield tasks
        finally:
            tasks.drop()
        return
    if isinstance(workers, int):
        workers = Workers(nproc=workers)
    if workers.method == "multiprocessing" and workers.nproc == 1:
        yield TaskMap()
        return
    with pool_of(workers) as pool:
        yield TaskMap(pool)
