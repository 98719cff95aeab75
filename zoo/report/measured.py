"""The answers of the studies that measure networks (`zoo.evidence.measurements`), as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from zoo.core.names import display, in_order
from zoo.evidence.measurements import Measurement, Point, mean_over_tasks, missing
from zoo.report.blocks import MISSING, Block, Table, Text
from zoo.report.robust import robust_blocks

__all__ = ["blocks", "curves"]

Value = Callable[[Point], float]
_READING = """\
Means over {runs}; in brackets the 95 % interval of the paired difference to {reference} (same corpus, model \
and seed), for other seeds on these corpora."""
_STAGES = {"initial": "before training", "trained": "trained"}
_PARTS = {"words": "word vectors", "inside": "in between", "classifier": "classifier"}
_PLACES = {
    "sgd": "SGD, on the gradient",
    "gradient": "AdamW, on the gradient",
    "first_moment": "AdamW, on the first moment",
    "update": "AdamW, on the update",
}


def blocks(asked: Measurement, points: Sequence[Point]) -> list[Block]:
    """The question, how much of it is there, and its tables; without a point the question alone."""
    found: list[Block] = [Text(asked.asks)]
    known = whole(asked, points)
    if not known:
        said = f"{len(points)} networks are there, and no model, corpus and seed with every method."
        return [*found, Text(said)]
    gone = missing(asked, points)
    what = f"{len(known)} networks: {_listed(map(display, in_order(p.arch for p in known)))} on "
    what += f"{_listed(map(display, in_order(p.corpus for p in known)))}, seeds "
    what += ", ".join(map(str, sorted({p.seed for p in known})))
    found.append(Text(f"{what}{f'; {gone} planned ones are not there' if gone else ''}."))
    return [*found, *_TABLES[asked.name](asked, known)]


def whole(asked: Measurement, points: Sequence[Point]) -> list[Point]:
    """Those of the models, corpora and seeds that every method has: others would be compared apart."""
    there: dict[tuple[str, str, int], set[str]] = {}
    for p in points:
        there.setdefault((p.arch, p.corpus, p.seed), set()).add(p.variant)
    every = {v.name for v in asked.variants}
    return [p for p in points if p.variant in every and every <= there[p.arch, p.corpus, p.seed]]


def curves(asked: Measurement, points: Sequence[Point]) -> dict[str, tuple[list[float], list[float]]]:
    """What the study's figure shows: line by line, x and the mean over networks."""
    lines: dict[str, tuple[list[float], list[float]]] = {}
    points = whole(asked, points)
    for variant in asked.variants:
        own = [p for p in points if p.variant == variant.name]
        if not own:
            continue
        if asked.name == "drift":
            each = [_drifted(p).mean(axis=0) for p in own]
            lines[variant.name] = (list(range(len(each[0]))), list(np.mean(each, axis=0)))
        elif asked.name == "sharpness":
            lines[variant.name] = (own[0].values["radii"], _mean_of(own, lambda p: p.values["rise"]))
        elif asked.name == "drop":
            drops = [[100 * (p.values["accuracy"] - a) for a in p.values["pgd"]] for p in own]
            lines[variant.name] = (own[0].values["strengths"], list(np.mean(drops, axis=0)))
        elif "vectors" in own[0].values:
            pgd = [p.values["vectors"]["curves"]["pgd"] for p in own]
            accuracy = np.mean([curve["accuracy"] for curve in pgd], axis=0)
            lines[variant.name] = (pgd[0]["strengths"], list(100 * accuracy))
        else:
            for stage, title in _STAGES.items():

                def gain(point: Point, at: str = stage) -> list[float]:
                    found: list[float] = point.values[at]["penalty"]["fgsm"]["gain"]
                    return found

                at = own[0].values[stage]["penalty"]["strengths"]
                lines[title] = (at, _mean_of(own, gain))
    return lines


def _mean_of(points: Sequence[Point], value: Callable[[Point], Sequence[float]]) -> list[float]:
    return [float(x) for x in np.mean([value(p) for p in points], axis=0)]


def _drift(asked: Measurement, points: Sequence[Point]) -> list[Block]:
    layers = list(dict.fromkeys(layer for p in points for layer in p.values["cka"]))

    def over_epochs(layer: str) -> Value:
        return lambda p: float(np.array(p.values["cka"][layer], float)[1:].mean())

    columns: dict[str, Value] = {layer: over_epochs(layer) for layer in layers}
    columns["all layers"] = lambda p: float(_drifted(p)[:, 1:].mean())
    columns["last epoch"] = lambda p: float(_drifted(p)[:, -1].mean())
    said = (
        "Linear CKA between the features of the same texts in the network and in the network before "
        "training: 1 = no drift but rotation and scale. By layer the mean over epochs; then over all "
        "layers; then the last epoch."
    )
    return [Text(said), *_compared(asked, points, columns, "CKA to the initial network", 3)]


def _drifted(point: Point) -> np.ndarray:
    """(layers, 1 + epochs) CKA; nan of a dead layer, which has none."""
    return np.array(list(point.values["cka"].values()), float)


def _sharpness(asked: Measurement, points: Sequence[Point]) -> list[Block]:
    radii = points[0].values["radii"]
    columns: dict[str, Value] = {"loss": lambda p: p.values["loss"]}
    for i, radius in enumerate(radii):
        columns[f"r = {radius:g}"] = lambda p, i=i: p.values["rise"][i]  # type: ignore[misc]
    columns["top eigenvalue"] = lambda p: p.values["top"]
    columns["gradient"] = lambda p: p.values["gradient"]
    said = (
        "Mean cross-entropy of training texts without dropout, nats; how much it rises along random "
        "filter-normalised directions, r filter lengths away; the largest eigenvalue of its Hessian; the "
        "length of its gradient. Lower is flatter. A network that fits its training texts less has another "
        "loss to be flat at."
    )
    return [Text(said), *_compared(asked, points, columns, "Loss and its rise", 3)]


def _drop(asked: Measurement, points: Sequence[Point]) -> list[Block]:
    strengths = points[0].values["strengths"]
    said = (
        "Accuracy on test texts, and what an attack on the word vectors costs, in points; strengths in "
        "units of the root mean square of the word vectors. Noise has random signs of the same size."
    )
    found: list[Block] = [Text(said)]
    columns: dict[str, Value] = {"accuracy": lambda p: 100 * p.values["accuracy"]}
    for name, title in (("fgsm", "FGSM"), ("pgd", "PGD"), ("noise", "noise")):
        for i, strength in enumerate(strengths):
            columns[f"{title} {strength:g}"] = lambda p, n=name, i=i: (  # type: ignore[misc]
                100 * (p.values["accuracy"] - p.values[n][i])
            )
    return [*found, *_compared(asked, points, columns, "Accuracy, %, and drop, points", 1)]


def _theory(asked: Measurement, points: Sequence[Point]) -> list[Block]:
    return [*_assumptions(points), *_variances(points), *_adamw(points), *_penalty(points)]


def _assumptions(points: Sequence[Point]) -> list[Block]:
    said = (
        "The theorem's assumptions, of the gradients of single texts at random entries that some text "
        "reaches: normal, and their covariance a multiple of the identity. Zeros: share that is exactly 0. "
        "Not normal: entries where Jarque and Bera's test refuses at 1 % (of normal samples of this size it "
        "refuses 1 to 2 %), of texts and of means of a batch. Variance ratio: 95 % quantile over entries to "
        "5 %. Dimensions: tr(S)^2 / tr(S^2) of the covariance S, then with every entry scaled to variance "
        "1, then what so many texts of identity covariance would give. All are medians over networks."
    )
    header = (
        "Gradients", "zeros, %", "kurtosis", "not normal, %", "of batches, %", "variance ratio",
        "dimensions", "scaled", "of identity",
    )  # fmt: skip
    keys = (
        ("zeros", 100), ("kurtosis", 1), ("not_gaussian", 100), ("batch_not_gaussian", 100),
        ("variance_ratio", 1), ("dimensions", 1), ("dimensions_scaled", 1), ("dimensions_identity", 1),
    )  # fmt: skip
    rows = []
    for stage, when in _STAGES.items():
        for part, where in _PARTS.items():
            own = [p.values[stage]["gradients"][part] for p in points]
            values = (float(np.median([scale * o[key] for o in own])) for key, scale in keys)
            rows.append((f"{when}, {where}", *(_short(value) for value in values)))
    return [Text(said), Table(header, tuple(rows), "Are the assumptions of Theorem 1 met?")]


def _variances(points: Sequence[Point]) -> list[Block]:
    said = (
        "Variance of the masked gradient of a batch, summed over entries, in units of the variance without "
        "a mask (1 = the mask adds nothing). Measured with masks drawn; by the theorem, with each entry's "
        "own variance and its mean p over the batches that give it a gradient, and with one sigma for all "
        "as it is stated; by total variance, for a p that follows from the batch; the theorem's bound "
        "(19). Bias: of the mean over masks, in standard errors (1 = none). Means over networks."
    )
    header = (
        "Variance", "mean p", "measured", "theorem", "one sigma", "total variance", "bound", "bias",
    )  # fmt: skip
    keys = (
        "keep",
        "measured",
        "theorem",
        "theorem_one_sigma",
        "total_variance",
        "bound",
        "bias",
    )
    rows = []
    for stage, when in _STAGES.items():
        for part, where in _PARTS.items():
            own = [p.values[stage]["mask"][part] for p in points]
            values = ([o[key] / (o["unmasked"] if key == "measured" else 1) for o in own] for key in keys)
            rows.append((f"{when}, {where}", *(f"{np.mean(each):.2f}" for each in values)))
    return [Text(said), Table(header, tuple(rows), "What the mask adds to the variance")]


def _adamw(points: Sequence[Point]) -> list[Block]:
    first = points[0].values["adamw"]
    root = np.mean([p.values["adamw"]["root"] for p in points])
    said = (
        f"What is left of it under AdamW: the gradients of a whole training without a mask ({first['steps']} "
        "steps and the like), handed to the optimizer with masks and without; the walk over the second "
        "half, in lengths of the unmasked one. Length: of the mean walk along it; the mean of the root of p "
        f"is {root:.2f}. Bias: distance of the mean walk from it, what chance leaves taken out. Spread: of "
        "single walks."
    )
    rows = tuple(
        (
            title,
            *(
                f"{np.mean([p.values['adamw'][place][key] for p in points]):.2f}"
                for key in ("slope", "bias", "spread")
            ),
        )
        for place, title in _PLACES.items()
    )
    return [Text(said), Table(("Mask", "length", "bias", "spread"), rows, "What the optimizer makes of it")]


def _penalty(points: Sequence[Point]) -> list[Block]:
    strengths = points[0].values["trained"]["penalty"]["strengths"]
    said = (
        "Section V-A: the gain of the loss by the attack over the gradient penalty epsilon ||g||, and below "
        "it the mean size of the remainder over the penalty, by epsilon in units of the word vectors' root "
        "mean square. Where the remainder is of second order it halves with epsilon. Across masks: what the "
        "attack made under one dropout mask gains, to first order, under another one, over the most that it "
        "could."
    )
    rows = []
    for stage, when in _STAGES.items():
        for form, title in (("fgsm", "sign"), ("fgm", "l2")):
            own = [p.values[stage]["penalty"][form] for p in points]
            across = float(np.mean([o["across"] for o in own]))
            for key in ("gain", "remainder"):
                values = np.mean([o[key] for o in own], axis=0)
                last = f"{across:.2f}" if key == "gain" else ""
                rows.append((f"{when}, {title}: {key}", *(f"{v:.2f}" for v in values), last))
    header = ("Penalty", *(f"{strength:g}" for strength in strengths), "across masks")
    return [Text(said), Table(header, tuple(rows), "Is the adversarial loss a gradient penalty?")]


def _compared(
    asked: Measurement, points: Sequence[Point], columns: dict[str, Value], title: str, digits: int
) -> list[Block]:
    """One table of means by variant, one of differences to the first variant with their intervals."""
    reference = asked.variants[0].name
    by_variant = {v.name: [p for p in points if p.variant == v.name] for v in asked.variants}
    there = {name: own for name, own in by_variant.items() if own}
    means = tuple(
        (name, *(_fixed(float(np.mean([value(p) for p in own])), digits) for value in columns.values()))
        for name, own in there.items()
    )
    base = {(p.arch, p.corpus, p.seed): p for p in by_variant[reference]}
    rows = []
    for name, own in there.items():
        pairs = [(p, base[key]) for p in own if (key := (p.arch, p.corpus, p.seed)) in base]
        if name != reference and pairs:
            texts = (_interval(pairs, value, digits) for value in columns.values())
            rows.append((name, *texts))
    runs = f"{len(there[next(iter(there))])} networks each"
    found: list[Block] = [
        Text(_READING.format(runs=runs, reference=reference)),
        Table(("Method", *columns), means, title),
    ]
    return (
        [*found, Table(("Method", *columns), tuple(rows), f"{title}: difference to {reference}")]
        if rows
        else found
    )


def _interval(pairs: Sequence[tuple[Point, Point]], value: Value, digits: int) -> str:
    """`+0.12 [-0.01, +0.25]`; without an interval from one seed."""
    mean, estimate = mean_over_tasks(((p.arch, p.corpus), value(p) - value(base)) for p, base in pairs)
    ends = f" [{estimate.low:+.{digits}f}, {estimate.high:+.{digits}f}]" if estimate else ""
    return f"{mean:+.{digits}f}{ends}" if np.isfinite(mean) else MISSING


def _fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else MISSING


def _short(value: float) -> str:
    if not np.isfinite(value):
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _robust(asked: Measurement, points: Sequence[Point]) -> list[Block]:
    return robust_blocks({v.name: [p for p in points if p.variant == v.name] for v in asked.variants})


_TABLES: dict[str, Callable[[Measurement, Sequence[Point]], list[Block]]] = {
    "theory": _theory,
    "drift": _drift,
    "sharpness": _sharpness,
    "drop": _drop,
    "robust": _robust,
    "robust-zh": _robust,
}
