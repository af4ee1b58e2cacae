"""How a data set is refined, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from dials_truncfix.postrefine.lattice.options import RefinementOptions
from dials_truncfix.postrefine.lattice.partiality import Model
from dials_truncfix.postrefine.merge.rejection import RejectionLimits


@dataclass(frozen=True)
class CycleOptions:
    """How a data set is refined.

    Attributes
    ----------
    model : Model or None
        Partiality; None for that which predicts observations held out best.
    refinement : RefinementOptions
        Of each lattice.
    limits : RejectionLimits
        What an acceptable lattice keeps to.
    min_partiality : float
        Observations of a smaller partiality are neither merged nor written as full.
    max_deviation : float
        Observations that deviate from the mean of the other lattices by more standard
        deviations are not merged.
    max_cycles : int
        Most cycles of a refinement against the data themselves.
    tolerance : float
        Such a refinement ends when the mean intensities change by a smaller part.
    error_model : bool
        Whether to fit a model of the errors of full intensities.
    free_part : float
        Part of the observations held out to compare the models.
    seed : int
        Of the choice of these, of the half sets and of what the error model is fitted to.
    """

    model: Model | None = None
    refinement: RefinementOptions = field(default_factory=RefinementOptions)
    limits: RejectionLimits = field(default_factory=RejectionLimits)
    min_partiality: float = 0.2
    max_deviation: float = 6.0
    max_cycles: int = 8
    tolerance: float = 2e-3
    error_model: bool = True
    free_part: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse thresholds that make no sense."""
        if not 0 < self.min_partiality < 1:
            raise ValueError(f"min_partiality {self.min_partiality} is not in 0 to 1")
        if not self.max_deviation > 0 or not self.tolerance > 0:
            raise ValueError(
                f"max_deviation {self.max_deviation}, tolerance {self.tolerance}"
            )
        if not 0 < self.free_part < 1:
            raise ValueError(f"free_part {self.free_part} is not in 0 to 1")
        if self.max_cycles < 1:
            raise ValueError(f"{self.max_cycles} cycles")
