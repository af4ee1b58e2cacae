"""Parameters of parallel work, the same for every program."""

from __future__ import annotations

from typing import Any

import libtbx.phil

from dials_truncfix.executors import Workers, available_processes

phil_scope = libtbx.phil.parse(
    """
mp
  .help = "Parallel work. The results do not depend on it."
{
  method = *multiprocessing mpi dask
    .type = choice
    .help = "multiprocessing: processes of this machine. mpi: ranks of MPI, for programs"
            "started by mpiexec. dask: workers of a dask cluster."
    .expert_level = 1
  nproc = Auto
    .type = int(value_min=1)
    .help = "Number of processes. Auto: one for each processor, and fewer where the start"
            "of a process would take longer than its work. A dask cluster brings its own."
  scheduler = None
    .type = str
    .help = "Address of the scheduler of a dask cluster, such as tcp://host:8786. All of its"
            "workers have to see the same files."
    .expert_level = 1
}
"""
)


def workers(params: Any) -> Workers:
    """Translate the parameters.

    Raises
    ------
    ValueError
        When mp.method=dask has no scheduler.
    """
    mp = params.mp
    if isinstance(mp.nproc, int):
        return Workers(mp.method, mp.nproc, mp.scheduler)
    nproc = available_processes()
    return Workers(mp.method, nproc, mp.scheduler, mp.method == "multiprocessing")
