"""A seed of the masks from the seed that a user gives, or gave to torch."""

from __future__ import annotations

import hashlib


def mask_seed(seed: int) -> int:
    """A seed of 63 bits; a function of `seed`, and not it.

    A generator of the user's own seed draws once more the numbers that made the weights, wherever these come
    from `torch.manual_seed(seed)`. Theorem 1 wants a mask that does not depend on them.
    """
    digest = hashlib.sha256(f"mask of the update, {int(seed)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
