from __future__ import annotations

import os

import pytest

from dials_truncfix.parallel import available_processes, task_map


def _square(task):
    return task * task, os.getpid()


def _fail_at_two(task):
    if task == 2:
        raise ValueError("task 2")
    return task


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
