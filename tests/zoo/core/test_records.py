"""Records of settings: checked when they are made, JSON both ways."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.core.errors import UserError
from zoo.core.records import Settings, setting


@dataclass(frozen=True)
class Toy(Settings):
    share: float = setting(0.5, low=0, below=1)
    rate: float = setting(0.1, above=0)
    number: int = setting(3, low=1, high=9)
    on: bool = setting(True)
    kind: str = setting("a", choices=("a", "b"))
    many: tuple[int, ...] = setting((1, 2), low=1)
    free: str = "x"


GOOD = [{"share": 0}, {"share": 0.999}, {"rate": 1e-9}, {"number": 1}, {"number": 9}, {"on": False},
        {"kind": "b"}, {"many": ()}, {"many": (7,)}, {"free": ""}, {"rate": 2}]  # fmt: skip
BAD = [
    ({"share": 1}, "at least 0 and below 1"), ({"share": -0.1}, "at least 0"), ({"rate": 0}, "above 0"),
    ({"rate": float("inf")}, "finite"), ({"rate": float("nan")}, "finite"), ({"rate": True}, "a number"),
    ({"rate": "1"}, "a number"), ({"number": 0}, "at least 1 and at most 9"), ({"number": 10}, "at most 9"),
    ({"number": 2.0}, "a whole number"), ({"number": True}, "a whole number"), ({"on": 1}, "True or False"),
    ({"kind": "c"}, "one of a, b"), ({"kind": None}, "a text"), ({"many": (1, 0)}, "at least 1"),
    ({"many": [1]}, "a tuple"), ({"many": ("1",)}, "a whole number"), ({"free": 1}, "a text"),
    ({"rate": 10**400}, "finite"), ({"free": "a\0b"}, "without a null character"),
]  # fmt: skip


@pytest.mark.parametrize("values", GOOD)
def test_what_is_within_the_bounds_is_taken_and_reads_back(values: dict[str, object]) -> None:
    toy = Toy(**values)
    assert Toy.from_json(toy.as_json()) == toy


@pytest.mark.parametrize(("values", "message"), BAD)
def test_what_is_not_is_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Toy(**values)
    (name,) = values
    assert str(caught.value).startswith(f"setting {name}=")
    assert "\n" not in str(caught.value)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown setting 'numbr'.*did you mean 'number'"):
        Toy.from_json({"numbr": 1})


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 9), st.lists(st.integers(1, 5), max_size=4))
def test_json_is_the_record(share: float, number: int, many: list[int]) -> None:
    toy = Toy(share=share, number=number, many=tuple(many))
    assert Toy.from_json(toy.as_json()) == toy


def test_a_name_leaves_out_what_a_field_was_introduced_with() -> None:
    assert Toy().named() == {}
    assert Toy(number=4).named() == {"number": 4}

    @dataclass(frozen=True)
    class Later(Settings):
        number: int = setting(4, low=1, unnamed=3)  # the default has changed since

    assert Later().named() == {"number": 4}
    assert Later(number=3).named() == {}
    assert [f.name for f in dataclasses.fields(Later)] == ["number"]
