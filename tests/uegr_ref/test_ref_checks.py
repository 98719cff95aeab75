from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ref_strategies import dtypes, refused, tensors

from uegr_ref import checks


@given(tensors(2, 3), dtypes)
def test_floats_pass_unchanged_in_their_precision(x, dtype):
    x = x.astype(dtype)
    assert checks.floats("x", x, ("B", 3)) is x
    assert checks.floats("x", x).dtype == dtype


@given(st.lists(st.integers(-5, 5), min_size=1))
def test_whole_numbers_and_lists_become_double_precision(values):
    got = checks.floats("x", values)
    assert got.dtype == np.float64
    assert got.tolist() == values


@pytest.mark.parametrize(
    "bad", [np.ones(3), np.ones((2, 4)), np.ones((1, 2, 3)), 1.0, [[True]], ["a"], [[1j] * 3] * 2]
)
def test_other_shapes_and_types_are_refused(bad):
    refused("x", lambda: checks.floats("x", bad, ("B", 3)))


def test_the_message_says_what_came_and_what_was_wanted():
    with pytest.raises(ValueError, match=r"^gradient: got shape \(3,\), wanted shape \(B, T, D\)$"):
        checks.floats("gradient", np.ones(3), ("B", "T", "D"))
    with pytest.raises(ValueError, match=r"^logits: got nan among its entries, wanted finite numbers$"):
        checks.floats("logits", [1.0, np.nan])
    with pytest.raises(
        ValueError, match=r"^labels: got 3 among its entries, wanted whole numbers from 0 to 2$"
    ):
        checks.ints("labels", [0, 3], ("N",), below=3)
    with pytest.raises(ValueError, match=r"^epsilon: got -0.1, wanted a number in \[0, inf\]$"):
        checks.number("epsilon", -0.1, 0)
    with pytest.raises(ValueError, match=r"^p: got 0 among its entries, wanted every entry in \(0, 1\]$"):
        checks.within("p", [0.0], 0, 1, open_low=True)
    with pytest.raises(ValueError, match=r"^mask: got shape \(2, 1\), wanted shape \(2, 3\)$"):
        checks.bools("mask", np.ones((2, 1), bool), (2, 3))


@pytest.mark.parametrize("bad", [True, "1", None, 1j, np.nan, np.inf, -1.0, 2.0])
def test_numbers_are_finite_real_and_in_range(bad):
    refused("x", lambda: checks.number("x", bad, 0, 1))


def test_open_ends_exclude_the_end():
    assert checks.number("x", 1, 0, 1) == 1.0
    refused("x", lambda: checks.number("x", 1, 0, 1, open_high=True))
    refused("x", lambda: checks.number("x", 0, 0, 1, open_low=True))


@pytest.mark.parametrize("bad", [0, -1, 1.0, "1", True, 11])
def test_counts_are_whole_and_positive(bad):
    refused("n", lambda: checks.count("n", bad, most=10))
    assert checks.count("n", np.int64(3)) == 3


def test_numbers_are_not_taken_for_masks_nor_masks_for_numbers():
    refused("mask", lambda: checks.bools("mask", [0, 1]))
    refused("labels", lambda: checks.ints("labels", [True], ("N",)))
    refused("labels", lambda: checks.ints("labels", [1.0], ("N",)))
    assert checks.ints("labels", [], ("N",), below=3).shape == (0,)
