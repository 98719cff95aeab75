"""Fixed shapes are demanded inside the block and no longer."""

from __future__ import annotations

import pytest
import torch

from zoo.fast.shapes import demand_fixed_shapes, fixed_shapes

HERE = torch.zeros(1)


def test_the_demand_ends_with_its_block() -> None:
    assert not fixed_shapes(HERE)
    with demand_fixed_shapes():
        with demand_fixed_shapes():
            assert fixed_shapes(HERE)
        assert fixed_shapes(HERE), "the outer block goes on"
    assert not fixed_shapes(HERE)


def test_also_after_an_error() -> None:
    with pytest.raises(RuntimeError), demand_fixed_shapes():
        raise RuntimeError
    assert not fixed_shapes(HERE)


def test_other_devices_always_demand_them() -> None:
    assert fixed_shapes(torch.zeros(1, device="meta"))
