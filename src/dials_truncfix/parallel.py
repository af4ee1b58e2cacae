"""One seam for parallel work: the same task function on any number of processes.

Processes of this machine, ranks of MPI and workers of a dask cluster all are behind an
executor of concurrent.futures. No result depends on which of them does the work.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Callable, Generic, Protocol, TypeVar

from dials_truncfix.bare_spawn import BareSpawnContext

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
#: A task during which processes die so often is likely what kills them.
_MOST_DEATHS = 3
#: Time for a dask scheduler to answer, s.
_PATIENCE = 20


def available_processes() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes
    ----------
    method : {'multiprocessing', 'mpi', 'dask'}
        Processes of this machine, ranks of MPI, or workers of a dask cluster.
    nproc : int
        Number of processes. The workers of a dask cluster are as many as it has.
    scheduler : str or None
        Address of the scheduler of a dask cluster.

    Raises
    ------
    ValueError
        When there are no processes, or no scheduler.
    """

    method: str = "multiprocessing"
    nproc: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        """Refuse what can do no work."""
        if self.nproc < 1:
            raise ValueError(f"nproc is {self.nproc}: at least one process is needed")
        if self.method == "dask" and not self.scheduler:
            raise ValueError(
                "mp.method=dask needs the address of a scheduler: "
                "mp.scheduler=tcp://host:8786"
            )

    def at_most(self, n_tasks: int) -> Workers:
        """Leave out processes for which there is nothing to do."""
        return replace(self, nproc=max(1, min(self.nproc, n_tasks)))


class _Pool(Protocol):
    """An executor that may be replaced when its processes die."""

    executor: Executor
    size: int

    def start_again(self) -> None:
        """Replace the executor, or raise why that cannot be done."""


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

    def __init__(self, pool: _Pool | None = None) -> None:
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
    pool: _Pool, function: Callable[[Task], Result], task: Task
) -> Future[Result]:
    try:
        return pool.executor.submit(function, task)
    except BrokenExecutor as error:
        # found out, and mended, when its result is asked for
        lost: Future[Result] = Future()
        lost.set_exception(error)
        return lost


def _first(
    pool: _Pool,
    function: Callable[[Task], Result],
    waiting: deque[_Sent[Task, Result]],
) -> Result:
    """Wait for the first of the results, and take it from the queue."""
    for _ in range(_MOST_DEATHS):
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
        f"processes were killed {_MOST_DEATHS} times over one task: if memory ran out, "
        "fewer of them (mp.nproc) need less"
    )


def _end_with_parent() -> None:
    """See to it that this process does not outlive one that was killed."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _LocalProcesses:
    """A pool of processes of this machine."""

    def __init__(self, nproc: int) -> None:
        self.size = nproc
        self.executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        # spawn: a fork would copy the locks of whatever threads are running
        return ProcessPoolExecutor(
            self.size, BareSpawnContext(), initializer=_end_with_parent
        )

    def start_again(self) -> None:
        """Start new processes; those of the old pool are dead or told to end."""
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.executor = self._start()


@dataclass
class _Cluster:
    """An executor that looks after its processes itself."""

    executor: Executor
    size: int

    def start_again(self) -> None:
        """Give up: MPI ends all its ranks when one dies."""
        raise ChildProcessError("processes of the cluster died: see what they printed")


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Tell processes that are started meanwhile to use one thread."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _local(nproc: int) -> Iterator[_Pool]:
    with _one_thread_each():
        pool = _LocalProcesses(nproc)
        try:
            yield pool
        finally:
            pool.executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _mpi(nproc: int) -> Iterator[_Pool]:
    try:
        from mpi4py.futures import MPIPoolExecutor
    except (ImportError, RuntimeError) as error:
        raise ValueError(f"mp.method=mpi needs mpi4py and MPI: {error}") from None
    executor = MPIPoolExecutor(nproc)
    try:
        yield _Cluster(executor, nproc)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _dask(scheduler: str) -> Iterator[_Pool]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(f"mp.method=dask needs dask.distributed: {error}") from None
    try:
        client = Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise ValueError(f"no dask scheduler at {scheduler}: {error}") from None
    with client:
        threads = client.nthreads()
        _check_threads(scheduler, threads)
        # a task that was done once is done again all the same: it writes files
        executor = client.get_executor(pure=False, retries=_MOST_DEATHS)
        try:
            yield _Cluster(executor, len(threads))
        except BaseException:
            executor.shutdown(wait=False)
            raise


def _check_threads(scheduler: str, threads: dict[Any, int]) -> None:
    if not threads:
        raise ValueError(
            f"the dask scheduler at {scheduler} has no workers: start some"
        )
    if max(threads.values()) > 1:
        raise ValueError(
            f"workers of the dask scheduler at {scheduler} have several threads: start "
            "them with --nthreads 1, as DIALS does not work in threads"
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
    with ExitStack() as stack:
        if workers.method == "multiprocessing":
            pool = stack.enter_context(_local(workers.nproc))
        elif workers.method == "mpi":
            pool = stack.enter_context(_mpi(workers.nproc))
        else:
            pool = stack.enter_context(_dask(str(workers.scheduler)))
        yield TaskMap(pool)
