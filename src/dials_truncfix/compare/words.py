"""What a comparison says, and what it does not, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from dials_truncfix import compat
from dials_truncfix.compare.comparison import Comparison
from dials_truncfix.compare.files import Integrated
from dials_truncfix.compare.results import Compared
from dials_truncfix.compare.tables import bin_name, decimals

#: Gains that differ by more make standard deviations of two kinds.
_GAIN_RATIO = 1.25
#: With fewer observations of a reflection, CC½ rests on a part of the data.
_FEW_OBSERVATIONS = 2.0
#: A slope on noise says nothing.
_TELLING_CORRELATION = 0.5

CC_HALF = (
    "CC½ says how well random halves of the data agree, not how right they are. "
    "Cutting pixels off at zero takes noise away, and with it a part of every weak "
    "intensity: CC½ of truncated data is higher than that of the same images before "
    "truncation, and most <I/σ> are too. That they fall by the correction is expected."
)
NO_TRUTH = (
    "Which of the two is right, only the true intensities can tell: give the truth.npz "
    "of a simulation, or an MTZ file of the structure."
)


def findings(compared: Compared) -> list[str]:
    """Say in sentences what changed, and what the truth says about it."""
    comparison = compared.comparison
    *shells, whole = comparison.changes
    places = decimals(comparison)
    sentences = [
        f"{whole.n_common} reflections are in both tables, {whole.n_only_before} only "
        f"before, {whole.n_only_after} only after. On average the intensities changed by "
        f"{whole.change:+.{places + 1}f} ± {whole.change_error:.{places + 1}f} "
        f"({compared.unit}), from a mean of {whole.mean_before:.{places}f}."
    ]
    outer = [c for c in shells[len(shells) // 2 :] if c.n_common > 1]
    if outer:
        before = sum(c.n_common * c.mean_before for c in outer)
        change = sum(c.n_common * c.change for c in outer)
        if before > 0:
            sentences.append(
                f"Beyond {outer[0].d_max:.2f} Å their sum changed by "
                f"{100 * change / before:+.1f} %."
            )
    sentences.append(CC_HALF)
    sentences += _on_truth(comparison)
    return sentences


def _on_truth(comparison: Comparison) -> list[str]:
    before, after = comparison.truth_before, comparison.truth_after
    if before is None or after is None:
        return [NO_TRUTH]
    sentences = []
    pairs = [
        (b, a)
        for b, a in zip(before.shells[:-1], after.shells[:-1])
        if min(b.correlation, a.correlation) > _TELLING_CORRELATION
    ]
    if len(pairs) > 1:
        (b_low, a_low), (b_high, a_high) = pairs[0], pairs[-1]
        sentences.append(
            "The truth decides. The slope of observed on true intensities is "
            f"{b_low.slope:.3f} before and {a_low.slope:.3f} after at "
            f"{b_low.low:.2f}-{b_low.high:.2f} Å, and {b_high.slope:.3f} and "
            f"{a_high.slope:.3f} at {b_high.low:.2f}-{b_high.high:.2f} Å; where "
            "nothing is lost it is the same at all resolutions."
        )
    filled = [(b, a) for b, a in zip(before.bins, after.bins) if b.n >= 3]
    if filled:
        b, a = filled[0]
        sentences.append(
            f"Of true intensities of {bin_name(b)} {comparison.truth_unit} "
            f"the observed ones miss {-b.bias:.2f} ± {b.bias_error:.2f} before and "
            f"{-a.bias:.2f} ± {a.bias_error:.2f} {comparison.truth_unit} after; what "
            "lies outside the integration box is part of that."
        )
    return sentences


def warnings(compared: Compared) -> list[str]:
    """List what makes a comparison less telling than it looks, if anything."""
    before, after = compared.before, compared.after
    result = []
    gains = [_gains(side) for side in (before, after)]
    if compared.intensity != "scale" and max(gains) > _GAIN_RATIO * min(gains):
        result.append(
            f"The gain was {gains[0]:.3g} before and {gains[1]:.3g} after: the standard "
            "deviations are of two kinds, and <I/σ> of the two cannot be compared. "
            "Integrate both with the gain that dials.truncfix found."
        )
    if _signed(before) and not _signed(after):
        result.append(
            f"{before.experiments_path} trusts negative pixels and "
            f"{after.experiments_path} does not: before and after may have been given "
            "the wrong way round."
        )
    scale = compared.comparison.scale
    if scale != 1.0:
        result.append(
            f"The scaled intensities after were multiplied by {scale:.4g} "
            "to bring strong reflections to the scale before."
        )
    multiplicity = compared.comparison.merged_after[-1].multiplicity
    if multiplicity < _FEW_OBSERVATIONS:
        result.append(
            f"A merged reflection has {multiplicity:.2f} observations on average: CC½ "
            "rests on the few that have two."
        )
    return result


def _gains(side: Integrated) -> float:
    gains: Sequence[float] = [e.detector[0].get_gain() for e in side.experiments]
    return sum(gains) / len(gains)


def _signed(side: Integrated) -> bool:
    return all(compat.trusted_limits(e.detector[0])[0] < 0 for e in side.experiments)
