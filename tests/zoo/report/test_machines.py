"""How far apart two kinds of processor come, in one sentence."""

from __future__ import annotations

from zoo.report.machines import kinds_apart


def test_networks_of_two_kinds_are_matched_by_name(result) -> None:
    wide, narrow = {"processor": "AVX512"}, {"processor": "AVX2"}
    first = [result("dropout", **narrow), result("uegr", wrong=range(3), **narrow), result("at", **narrow)]
    second = [
        result("dropout", **wide), result("uegr", wrong=range(5), **wide), result("r_drop", **wide),
    ]  # fmt: skip
    said = kinds_apart(first, second)
    assert said.startswith(
        "The same 2 networks on cpu, AVX2 and on cpu, AVX512: 1 gave another test accuracy, by 2.0 points"
    )
    assert said.endswith("(IMDB, UEGR).")
    assert kinds_apart(first[:1], second[:1]).endswith("test accuracy equal in all.")


def test_one_kind_or_none_says_nothing(result) -> None:
    known, unknown = [result("dropout", processor="AVX2")], [result("dropout")]
    assert kinds_apart(known, known) == ""
    assert kinds_apart(unknown, known) == "", "what was not recorded is no kind"
    assert kinds_apart(known, []) == ""
