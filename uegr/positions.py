"""The positions of a batch's texts in the states that dropout modules get.

Index letters: B examples, T positions, U units, R rows of one call (a multiple of B).
"""

from __future__ import annotations

import warnings

from torch import Tensor

MANY = 3  # widths of one call of a module, from which on they are no units


class Positions:
    """Which positions count, and modules whose units are positions by mistake."""

    def __init__(self) -> None:
        self.valid: Tensor | None = None  # (B, T) of the batch at hand, True = a word; None: not known
        self.turned: list[str] = []  # modules with positions in the place of units

    def of(self, states: Tensor) -> Tensor | None:
        """(B, T) which positions of states (R, T, U) count; None: all, or their T is not the texts'."""
        if self.valid is None or states.dim() != 3 or states.shape[1] != self.valid.shape[1]:
            return None
        return self.valid.to(states.device)

    def heed(self, name: str, states: Tensor, widths: list[int]) -> None:
        """Warn once of a module that seems to get (R, U, T), as a convolution gives them.

        The last axis is as long as the texts, or has had as many lengths as no layer has (`widths`).
        """
        shape = states.shape
        long = self.valid is not None and len(shape) == 3 and shape[1] != self.valid.shape[1] == shape[2]
        if name in self.turned or not (long or len(widths) >= MANY):
            return
        self.turned.append(name)
        warnings.warn(
            f"dropout {name}: the last axis of {tuple(shape)} seems to be positions, and adaptive rates are "
            "by unit; expected states (R, T, U), so .transpose(1, 2) before the module and after it",
            stacklevel=2,
        )
