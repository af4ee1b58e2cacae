"""Processes of this machine, ranks of MPI and workers of a dask cluster as executors."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from dials_truncfix.bare_spawn import BareSpawnContext
from dials_truncfix.later_imports import import_later

#: Numerical libraries start threads of their own; with one process a core these
#: threads only fight each other.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
#: Time for a dask scheduler to answer, s.
_PATIENCE = 20
#: A task during which processes die so often is likely what kills them.
MOST_DEATHS = 3


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
    is_limit : bool
        Whether nobody asked for so many, and fewer will do.

    Raises
    ------
    ValueError
        When there are no processes, or no scheduler.
    """

    method: str = "multiprocessing"
    nproc: int = 1
    scheduler: str | None = None
    is_limit: bool = False

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

    def worth(self, n_processes: int) -> Workers:
        """Leave out processes that are not worth their start, unless they were asked for."""
        return self.at_most(n_processes) if self.is_limit else self


class Pool(Protocol):
    """An executor that may be replaced when its processes die."""

    executor: Executor
    size: int

    def start_again(self) -> None:
        """Replace the executor, or raise why that cannot be done."""


def _begin() -> None:
    """Prepare a process, which is not to outlive the one that started it."""
    import_later()

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
        self.executor: Executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        # spawn: a fork would copy the locks of whatever threads are running
        return ProcessPoolExecutor(self.size, BareSpawnContext(), initializer=_begin)

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
def _local(nproc: int) -> Iterator[Pool]:
    with _one_thread_each():
        pool = _LocalProcesses(nproc)
        try:
            yield pool
        finally:
            pool.executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _mpi(nproc: int) -> Iterator[Pool]:
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
def _dask(scheduler: str) -> Iterator[Pool]:
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
        executor = client.get_executor(pure=False, retries=MOST_DEATHS)
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


def pool_of(workers: Workers) -> AbstractContextManager[Pool]:
    """Start an executor, and end it with the context.

    Parameters
    ----------
    workers : Workers
        Who does the work.

    Raises
    ------
    ValueError
        When the cluster cannot be used.
    """
    if workers.method == "mpi":
        return _mpi(workers.nproc)
    if workers.method == "dask":
        return _dask(str(workers.scheduler))
    return _local(workers.nproc)
