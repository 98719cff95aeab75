from __future__ import annotations

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uegr_ref
from uegr_ref.learn.properties.strategies import dtypes, refused, tensors
from uegr_ref.support.contract import compiled, contract

MATHEMATICS = [
    importlib.import_module(f"uegr_ref.{name}")
    for name in sorted(module.name for module in pkgutil.iter_modules(uegr_ref.__path__))
    if name not in ("__main__", "support", "stages")  # stages are called by train_step, which has checked
] + [importlib.import_module("uegr_ref.theorem1.sampling")]
CHECKED = ("Floats", "Ints", "Bools", "Parameters", "float", "int", "str", "Generator", "Settings")


def take(spec, value, known=None):
    return compiled(spec)("x", value, {} if known is None else known)


PUBLIC = [
    pytest.param(value, id=f"{module.__name__}.{name}")
    for module in MATHEMATICS
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
]


@pytest.mark.parametrize("function", PUBLIC)
def test_every_public_function_that_takes_arrays_or_numbers_has_a_contract_for_each(function):
    for name, parameter in inspect.signature(function).parameters.items():
        if any(kind in str(parameter.annotation) for kind in CHECKED):
            assert name in function.__contract__, name


def test_what_is_exported_has_a_contract():
    assert len(PUBLIC) > 60
    for name in uegr_ref.__all__:
        assert hasattr(getattr(uegr_ref, name), "__contract__"), name


@given(tensors(2, 3), dtypes)
def test_floats_pass_unchanged_in_their_precision(x, dtype):
    x = x.astype(dtype)
    assert take("floats (B, 3)", x) is x
    assert take("floats", x).dtype == dtype


@given(st.lists(st.integers(-5, 5), min_size=1))
def test_whole_numbers_and_lists_become_double_precision(values):
    got = take("floats (n)", values)
    assert got.dtype == np.float64
    assert got.tolist() == values


@pytest.mark.parametrize(
    "bad", [np.ones(3), np.ones((2, 4)), np.ones((1, 2, 3)), 1.0, [[True]], ["a"], [[1j] * 3] * 2]
)
def test_other_shapes_and_types_are_refused(bad):
    refused("x", lambda: take("floats (B, 3)", bad))


def test_the_message_says_what_came_and_what_was_wanted():
    def says(spec, value, message, known=None):
        with pytest.raises(ValueError) as caught:
            take(spec, value, known)
        assert str(caught.value) == message

    says("floats (B, T, D)", np.ones(3), "x: got shape (3,), wanted shape (B, T, D)")
    says(
        "floats (B, T, D)",
        np.ones((2, 1, 3)),
        "x: got shape (2, 1, 3), wanted shape (2, 5, D)",
        {"B": 2, "T": 5},
    )
    says("floats (..., U)", np.ones((2, 3)), "x: got shape (2, 3), wanted shape (4, 5, U)", {"...": (4, 5)})
    says("floats (K > 0, N)", np.ones((0, 3)), "x: got shape (0, 3), wanted shape (K > 0, N)")
    says("floats (n <= 2)", np.ones(3), "x: got shape (3,), wanted shape (n <= 2,)")
    says("floats", [1.0, np.nan], "x: got nan among its entries, wanted finite numbers")
    says(
        "any floats in [0, inf]", [np.nan, -2], "x: got -2 among its entries, wanted every entry in [0, inf]"
    )
    says("floats in (0, 1]", [0.0], "x: got 0 among its entries, wanted every entry in (0, 1]")
    says("probabilities (M)", [0.5, 0.4], "x: got the sum 0.9, wanted 1")
    says("ints (N) below C", [0, 3], "x: got 3 among its entries, wanted whole numbers from 0 to 2", {"C": 3})
    says("ints (N)", [-1], "x: got -1 among its entries, wanted whole numbers >= 0")
    says("number in [0, inf)", -0.1, "x: got -0.1, wanted a number in [0, inf)")
    says("number in [low, 1)", 0.2, "x: got 0.2, wanted a number in [0.5, 1)", {"low": 0.5})
    says("bools (B, T)", np.ones((2, 1), bool), "x: got shape (2, 1), wanted shape (2, 3)", {"B": 2, "T": 3})
    says("count", 0, "x: got 0, wanted a whole number >= 1")
    says("natural", -1, "x: got -1, wanted a whole number >= 0")
    says("flag", 1, "x: got 1, wanted True or False")
    says("one of linf, l2", "l1", "x: got 'l1', wanted one of linf, l2")
    says("shape (..., U)", 3, "x: got 3, wanted a tuple (..., U)")
    says("function", 3, "x: got 3, wanted a function")
    says("some count", (), "x: got (), wanted a tuple of at least one")
    says({"a": "count", "b": "count"}, (1,), "x: got 1 entries, wanted 2: a, b")
    says({"a": "count"}, {"a": 0}, "a: got 0, wanted a whole number >= 1")


@pytest.mark.parametrize("bad", [True, "1", None, 1j, np.nan, np.inf, -1.0, 2.0])
def test_numbers_are_finite_real_and_in_range(bad):
    refused("x", lambda: take("number in [0, 1]", bad))


def test_open_ends_exclude_the_end():
    assert take("number in [0, 1]", 1) == 1.0
    refused("x", lambda: take("number in [0, 1)", 1))
    refused("x", lambda: take("number in (0, 1]", 0))


@pytest.mark.parametrize("bad", [0, -1, 1.0, "1", True])
def test_counts_are_whole_and_positive(bad):
    refused("x", lambda: take("count", bad))
    assert take("count", np.int64(3)) == 3


def test_numbers_are_not_taken_for_masks_nor_masks_for_numbers():
    refused("x", lambda: take("bools", [0, 1]))
    refused("x", lambda: take("ints (N)", [True]))
    refused("x", lambda: take("ints (N)", [1.0]))
    assert take("ints (N) below C", [], {"C": 3}).shape == (0,)


def test_a_letter_and_the_dots_mean_one_size_throughout_a_call():
    @contract(x="floats (..., U)", y="floats (..., U)", z="floats (U, U)")
    def function(x, y, z):
        return x.shape

    assert function(np.ones((2, 3, 4)), np.ones((2, 3, 4)), np.ones((4, 4))) == (2, 3, 4)
    refused("y", lambda: function(np.ones((2, 3, 4)), np.ones((2, 1, 4)), np.ones((4, 4))))
    refused("y", lambda: function(np.ones((2, 3, 4)), np.ones((3, 4)), np.ones((4, 4))))
    refused("z", lambda: function(np.ones(4), np.ones(4), np.ones((4, 3))))
    refused("z", lambda: function(np.ones(4), np.ones(4), np.ones((3, 3))))


def test_an_argument_may_be_none_only_where_that_is_its_default():
    @contract(x="floats", y="floats")
    def function(x, y=None):
        return y

    assert function([1.0]) is None
    refused("x", lambda: function(None))


def test_arguments_come_in_converted_by_position_and_by_name_and_in_records():
    @contract(x="floats", records={"a": "floats (n)", "b": "count"}, more="each floats")
    def function(x, records, more):
        return x, records, more

    x, (a, b), more = function([1], records=([2], np.int64(3)), more={"weight": [4]})
    assert x.dtype == a.dtype == more["weight"].dtype == np.float64
    assert b == 3
    with pytest.raises(TypeError, match="missing"):
        function([1])


def test_only_the_outermost_call_is_checked_and_a_callers_function_is_checked_again():
    @contract(x="number in [0, 1]")
    def inner(x):
        return x

    @contract(x="number in [0, 9]")
    def outer(x):
        return inner(x)

    @contract(f="function to number in [0, 3]")
    def calls(f):
        return f()

    assert outer(5) == 5
    refused("x", lambda: inner(5))
    refused("x", lambda: outer(10))
    refused("x", lambda: inner(5))  # after an error too
    refused("x: got 5", lambda: calls(lambda: inner(5)))
    refused("f(x): got 4", lambda: calls(lambda: 4))
    assert calls(lambda: inner(1)) == 1


def test_a_contract_that_cannot_be_read_or_names_no_argument_fails_where_it_stands():
    for spec in ("float (B, T)", "floats (B; T)", "number in 0..1", "floats (B < 3)"):
        with pytest.raises(TypeError):
            contract(x=spec)
    with pytest.raises(TypeError, match="has no argument y"):
        contract(y="floats")(lambda x: x)
