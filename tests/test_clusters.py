"""dask and MPI write the same bytes as one process, whatever happens to a worker."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dials.util import Sorry

from dials_truncfix.command_line import (
    simulate_stills,
    truncfix,
    truncfix_postrefine,
    truncfix_simulate,
)
from dials_truncfix.executors import Workers
from dials_truncfix.parallel import task_map
from recordings import imported, record, true_frames

OPTIONS = ["annuli.count=4", "output.html=None"]


def _slow_square(task):
    value, folder = task
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(0.2)
    return value * value


@pytest.fixture
def dask_cluster(tmp_path):
    """Address of a scheduler with two workers, and the processes of these."""
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    from distributed import Client

    dask = str(Path(sys.executable).parent / "dask")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [dask, *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        processes.append(process)
        return process

    file = str(tmp_path / "scheduler.json")
    local = ("--host", "127.0.0.1", "--no-dashboard")
    start("scheduler", *local, "--port", "0", "--scheduler-file", file)
    # each without a nanny, so that the process is the worker and stays dead when killed
    one = ("--nthreads", "1", "--no-nanny", "--scheduler-file", file, *local)
    workers = [start("worker", *one) for _ in range(2)]
    try:
        deadline = time.monotonic() + 60
        while not os.path.exists(file) and time.monotonic() < deadline:
            time.sleep(0.1)
        with Client(scheduler_file=file, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
        yield address, workers
    finally:
        for process in processes:
            process.kill()
            process.wait()


def corrected(recording, folder, *arguments):
    """Bytes of all images of a run in a folder of its own."""
    folder.mkdir()
    before = os.getcwd()
    os.chdir(folder)
    try:
        truncfix.run([str(imported(recording, folder)), *OPTIONS, *arguments])
    finally:
        os.chdir(before)
    return [path.read_bytes() for path in sorted(folder.glob("*.cbf"))]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return record(tmp_path_factory.mktemp("movie"), true_frames(n_images=12, size=128))


@pytest.mark.slow
def test_dask_writes_the_same_bytes(recording, dask_cluster, tmp_path):
    address, _ = dask_cluster
    alone = corrected(recording, tmp_path / "alone", "mp.nproc=1")
    dask = corrected(
        recording, tmp_path / "dask", "mp.method=dask", f"mp.scheduler={address}"
    )
    assert len(alone) == 12
    assert dask == alone


@pytest.mark.slow
def test_dask_simulates_and_refines_the_same_stills(
    dask_cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(simulate_stills, "WORTH_A_PROCESS", 1)
    address, _ = dask_cluster
    written = []
    for name, arguments in (
        ("alone", ["mp.nproc=1"]),
        ("dask", ["mp.method=dask", f"mp.scheduler={address}"]),
    ):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        stills = ["source=stills", "stills.n_lattices=80", "d_min=3.5"]
        truncfix_simulate.run([*stills, "output.directory=.", *arguments])
        pair = ["integrated.expt", "integrated.refl"]
        truncfix_postrefine.run([*pair, "output.html=None", *arguments])
        names = ("truth.npz", *pair, "postrefined.expt", "postrefined.refl")
        written.append([(folder / name).read_bytes() for name in names])
    assert written[0] == written[1]


@pytest.mark.slow
def test_dask_does_the_tasks_of_a_killed_worker_again(dask_cluster, tmp_path):
    address, workers = dask_cluster
    seen = tmp_path / "seen"
    seen.mkdir()
    with task_map(Workers("dask", scheduler=address)) as tasks:
        results = tasks(_slow_square, ((i, str(seen)) for i in range(20)))
        first = next(results)
        workers[0].send_signal(signal.SIGKILL)
        assert [first, *results] == [i * i for i in range(20)]
    assert len(list(seen.iterdir())) == 2


def test_dask_workers_with_several_threads_are_refused():
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        workers = Workers("dask", scheduler=cluster.scheduler_address)
        with pytest.raises(ValueError, match="--nthreads 1"), task_map(workers):
            pass


def test_a_scheduler_that_is_not_there_is_refused(recording, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    monkeypatch.setattr("dials_truncfix.executors._PATIENCE", 1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Sorry, match="no dask scheduler at tcp://127.0.0.1:9"):
        truncfix.run(
            [
                str(imported(recording, tmp_path)),
                *OPTIONS,
                "mp.method=dask",
                "mp.scheduler=tcp://127.0.0.1:9",
            ]
        )
    assert not list(tmp_path.glob("*.cbf"))


@pytest.mark.slow
def test_mpi_writes_the_same_bytes(recording, tmp_path):
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    if shutil.which("mpiexec") is None:
        pytest.skip("mpiexec is not installed")
    alone = corrected(recording, tmp_path / "alone", "mp.nproc=1")
    folder = tmp_path / "mpi"
    folder.mkdir()
    subprocess.run(
        # one rank hands out the work, two do it
        [
            "mpiexec",
            "--oversubscribe",
            "-n",
            "3",
            sys.executable,
            "-m",
            "mpi4py.futures",
        ]
        + ["-m", "dials_truncfix.command_line.truncfix"]
        + [str(imported(recording, folder)), *OPTIONS, "mp.method=mpi", "mp.nproc=2"],
        cwd=folder,
        env={
            **os.environ,
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        },
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert [path.read_bytes() for path in sorted(folder.glob("*.cbf"))] == alone
