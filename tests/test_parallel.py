from __future__ import annotations

import os
import signal

import pytest

from dials_truncfix.parallel import Workers, available_processes, task_map


def _square(task):
    return task * task, os.getpid()


def _fail_at_two(task):
    if task == 2:
        raise ValueError("task 2")
    return task


def _die_once(task):
    """End the process that does this first, in the way the kernel does."""
    value, marker = task
    if value == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def _die_always(task):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("nproc", [1, 2])
def test_results_come_in_order(nproc):
    with task_map(nproc) as tasks:
        results = list(tasks(_square, range(20)))
    assert [value for value, _ in results] == [i * i for i in range(20)]
    in_this_process = {pid for _, pid in results} == {os.getpid()}
    assert in_this_process == (nproc == 1)


@pytest.mark.parametrize("nproc", [1, 2])
def test_an_exception_in_a_task_reaches_the_caller(nproc):
    with pytest.raises(ValueError, match="task 2"), task_map(nproc) as tasks:
        list(tasks(_fail_at_two, range(5)))


def test_environment_is_restored():
    before = dict(os.environ)
    with task_map(2) as tasks:
        list(tasks(_square, range(2)))
    assert dict(os.environ) == before


def test_no_process_is_refused():
    with pytest.raises(ValueError, match="nproc is 0"), task_map(0):
        pass


def test_there_is_a_processor():
    assert available_processes() >= 1


def test_tasks_of_a_killed_process_are_done_by_another(tmp_path):
    marker = tmp_path / "killed"
    with task_map(2) as tasks:
        results = list(tasks(_die_once, ((i, marker) for i in range(12))))
    assert marker.exists()
    assert results == list(range(12))


def test_a_task_that_kills_every_process_is_given_up():
    with pytest.raises(ChildProcessError, match="killed 3 times"), task_map(2) as tasks:
        list(tasks(_die_always, range(3)))


def test_a_pool_is_no_larger_than_the_work():
    assert Workers(nproc=8).at_most(3).nproc == 3
    assert Workers(nproc=2).at_most(0).nproc == 1


def test_dask_without_a_scheduler_is_refused():
    with pytest.raises(ValueError, match="needs the address of a scheduler"):
        Workers(method="dask")
