"""Words of a verdict, from made-up answers."""

from __future__ import annotations

import numpy as np

from zoo.evidence.claims import Claim, Pair
from zoo.evidence.intervals import by_run
from zoo.evidence.judged import Answer, Judged
from zoo.report.blocks import markdown
from zoo.report.claimed import answer

HELPS = Claim("It helps.", "Table IV", Pair("uegr", "dropout"), scale=100, unit="points")


def of(where: str, *means: float, **settings: str) -> Answer:
    estimate = by_run(np.array(means)[:, None], 1e-9)
    return Answer(where, estimate.difference, estimate, len(means), settings=settings)


def test_a_folder_that_contradicts_is_named_with_what_it_has_set_otherwise() -> None:
    here = of("full", 0.010, 0.011, 0.012, attack="fgm", alpha="0.5", keep="saliency")
    there = of("quick", -0.010, -0.011, -0.012, attack="fgsm", alpha="0.5")
    text = markdown(answer([Judged(HELPS, here, (there,), 0.001)]))
    assert "olders contradict each other: quick has -1.10" in text
    assert "(with attack fgsm)" in text
    same = of("quick", -0.010, -0.011, -0.012, attack="fgm")
    assert "(with" not in markdown(answer([Judged(HELPS, here, (same,), 0.001)]))
