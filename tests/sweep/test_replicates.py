"""Seeds and places of replicates."""

from __future__ import annotations

from dials_truncfix.sweep.options import OutputOptions
from dials_truncfix.sweep.replicates import plan_replicates, replicate_seed


def test_a_single_replicate_goes_where_the_user_said():
    output = OutputOptions(directory="a", experiments="b/c.expt")
    (only,) = plan_replicates(7, output)
    assert (only.number, only.seed, only.output) == (1, 7, output)


def test_places():
    output = OutputOptions(directory="a", experiments="b/c.expt", replicates=10)
    replicates = plan_replicates(7, output)
    assert replicates[0].output.directory == "a/replicate_01"
    assert replicates[9].output.directory == "a/replicate_10"
    assert replicates[0].output.experiments == "b/c_01.expt"
    without = OutputOptions(experiments=None, replicates=2)
    assert [r.output.experiments for r in plan_replicates(7, without)] == [None, None]


def test_seeds_differ_and_stay_the_same():
    seeds = {(s, k): replicate_seed(s, k) for s in range(50) for k in range(2, 21)}
    assert len(set(seeds.values())) == len(seeds)
    assert all(0 <= seed < 2**53 for seed in seeds.values())
    assert replicate_seed(12345, 1) == 12345
    # written down: a later release must draw the same
    assert replicate_seed(0, 2) == 8396151971079988
