"""A piecewise linear function of hours, as the membership curves of the IHC model are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Curve:
    """A piecewise linear function of hours; a jump is a knot given twice, and holds its later value.

    Below the first knot the curve is 0, above the last one it keeps its last value.

    >>> import numpy as np
    >>> curve = Curve(hours=(1.0, 2.0, 2.0, 4.0), values=(1.0, 0.8, 0.5, 0.3))
    >>> curve.at(np.array([0.5, 1.5, 2.0, 3.0, 9.0])).round(12).tolist()
    [0.0, 0.9, 0.5, 0.4, 0.3]

    Attributes:
        hours: the knots, never descending.
        values: the curve's value at each knot.

    """

    hours: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, hours: NDArray[np.float64]) -> NDArray[np.float64]:
        """The curve's value at each of `hours`, which may be infinite."""
        knots, values = np.array(self.hours), np.array(self.values)
        widths, rises = np.diff(knots, append=np.inf), np.diff(values, append=values[-1])
        slopes = np.divide(rises, widths, out=np.zeros_like(values), where=widths > 0)
        # np.interp leaves open which value holds at a knot given twice; searching from the right does not
        knot = np.searchsorted(knots, hours, side="right") - 1
        result: NDArray[np.float64] = np.minimum(hours, knots[-1])
        result -= knots[knot]  # in place, because the rows are many
        result *= slopes[knot]
        result += values[knot]
        result[knot < 0] = 0.0
        return result
