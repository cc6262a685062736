"""How unlikely a residual is: the tail of one department's own residuals, by peaks over a threshold."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

THRESHOLD_QUANTILE = 0.95
LEAST_PEAKS = 10
# Between an exponential tail (0) and one heavier than costs of calls have been seen to have.
LARGEST_SHAPE = 0.4


@dataclass(frozen=True, slots=True)
class Tail:
    """A generalised Pareto tail above `threshold`, which `share` of the residuals are over; shape 0: exponential."""

    threshold: float
    scale: float
    shape: float
    share: float

    @classmethod
    def fit(cls, residuals: NDArray[np.float64]) -> Self | None:
        """Return the tail of these residuals by probability-weighted moments; None with too few peaks to say.

        Hosking and Wallis (1987), "Parameter and quantile estimation for the generalized Pareto distribution".
        """
        if not len(residuals):
            return None
        threshold = float(np.quantile(residuals, THRESHOLD_QUANTILE))
        peaks = np.sort(residuals[residuals > threshold]) - threshold
        count = len(peaks)
        if count < LEAST_PEAKS:
            return None
        mean = float(peaks.mean())
        weights = 1 - (np.arange(1, count + 1) - 0.35) / count
        beyond = mean - 2 * float((peaks * weights).mean())
        shape = 2 - mean / beyond if beyond > 0 else LARGEST_SHAPE
        shape = min(max(shape, 0.0), LARGEST_SHAPE)
        return cls(threshold, mean * (1 - shape), shape, count / len(residuals))

    def p_values(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for each residual how likely one as high is; 1 for those under the threshold."""
        over = np.maximum(residuals - self.threshold, 0) / self.scale
        if self.shape:
            p_values = self.share * (1 + self.shape * over) ** (-1 / self.shape)
        else:
            p_values = self.share * np.exp(-over)
        return np.where(residuals > self.threshold, p_values, 1.0)
