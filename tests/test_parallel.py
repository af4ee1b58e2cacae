from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from dials_truncfix.executors import Workers, available_processes
from dials_truncfix.parallel import task_map


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


def _mark_and_wait(task):
    seconds, folder = task
    (folder / str(os.getpid())).touch()
    time.sleep(seconds)
    return os.getpid()


def _touch(task):
    number, folder = task
    time.sleep(0.05)
    (folder / str(number)).touch()


@pytest.mark.parametrize("nproc", [1, 2])
def test_a_part_of_a_map_ends_before_the_processes_do(tmp_path, nproc):
    with task_map(nproc) as tasks:
        with pytest.raises(KeyError), task_map(tasks) as part:
            for _ in part(_touch, ((i, tmp_path) for i in range(40))):
                raise KeyError
        begun = sorted(tmp_path.iterdir())
        assert 0 < len(begun) < 40
        # the same processes do other work, and that alone
        assert [value for value, _ in tasks(_square, range(5))] == [0, 1, 4, 9, 16]
        assert sorted(tmp_path.iterdir()) == begun


PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_parallel import _mark_and_wait
from dials_truncfix.parallel import task_map
if __name__ == "__main__":
    with task_map(2) as tasks:
        list(tasks(_mark_and_wait, [(0.1, Path(sys.argv[1]))] * 10000))
"""


def test_processes_end_when_their_parent_is_killed(tmp_path):
    script, marks = tmp_path / "parent.py", tmp_path / "marks"
    marks.mkdir()
    script.write_text(PARENT.format(tests=os.path.dirname(__file__)))
    with subprocess.Popen([sys.executable, str(script), str(marks)]) as parent:
        while len(list(marks.iterdir())) < 2:
            assert parent.poll() is None
            time.sleep(0.01)
        parent.kill()
    for mark in marks.iterdir():
        for _ in range(1000):
            if not _is_running(int(mark.name)):
                break
            time.sleep(0.01)
        assert not _is_running(int(mark.name))


def _is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            # a zombie waits for whoever has adopted it
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_script_needs_no_guard(tmp_path):
    """Processes do not run the script that starts them once more."""
    script = tmp_path / "script.py"
    script.write_text(
        "import math\n"
        "from dials_truncfix.parallel import task_map\n"
        "print('begun')\n"
        "with task_map(2) as tasks:\n"
        "    print(list(tasks(math.sqrt, [1.0, 4.0])))\n"
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["begun", "[1.0, 2.0]"], done.stderr


@pytest.mark.parametrize(
    ("workers", "left"),
    [
        (Workers(nproc=8, is_limit=True), 3),
        (Workers(nproc=2, is_limit=True), 2),
        # asked for
        (Workers(nproc=8), 8),
    ],
)
def test_processes_that_are_not_worth_their_start_are_left_out(workers, left):
    assert workers.worth(3).nproc == left
    assert workers.worth(0).nproc == (8 if left == 8 else 1)
