"""Independent draws of one sweep, for multiple imputation.

The replicates share fits, gain and pedestal, and differ in the seed of their draws.

References
----------
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
doi:10.1002/9780470316696
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np

from dials_truncfix.sweep.options import OutputOptions


@dataclass(frozen=True)
class Replicate:
    """One draw of a sweep.

    Attributes
    ----------
    number : int
        From 1.
    seed : int
        Seed of its draws.
    output : OutputOptions
        Where its images and experiments go.
    """

    number: int
    seed: int
    output: OutputOptions


def plan_replicates(seed: int, output: OutputOptions) -> tuple[Replicate, ...]:
    """Give each replicate its seed, a folder for its images and experiments.

    Parameters
    ----------
    seed : int
        The user's; the first replicate's.
    output : OutputOptions
        What the user asked for.

    Returns
    -------
    tuple of Replicate
        A single one goes where the user said.
    """
    if output.replicates == 1:
        return (Replicate(1, seed, output),)
    digits = len(str(output.replicates))
    replicates = []
    for number in range(1, output.replicates + 1):
        label = f"{number:0{digits}d}"
        experiments = output.experiments
        if experiments is not None:
            stem, suffix = os.path.splitext(experiments)
            experiments = f"{stem}_{label}{suffix}"
        replicates.append(
            Replicate(
                number,
                replicate_seed(seed, number),
                replace(
                    output,
                    directory=os.path.join(output.directory, f"replicate_{label}"),
                    experiments=experiments,
                ),
            )
        )
    return tuple(replicates)


def replicate_seed(seed: int, number: int) -> int:
    """Derive the seed of a replicate.

    Parameters
    ----------
    seed : int
        The user's.
    number : int
        Number of the replicate, from 1.

    Returns
    -------
    int
        The user's for the first; below 2**53, which every reader of JSON knows, for
        the others.
    """
    if number == 1:
        return seed
    (word,) = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
    return int(word) >> 11
