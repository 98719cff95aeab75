"""Theorem 1 checked exactly, then by sampling, and where it stops: `python -m uegr_ref.theorem1`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..mask import bernoulli_mask, keep_probability
from ..optimizer import adamw, no_moments
from ..saliency import rank_normalise
from ..support.checks import Floats
from ..support.console import Parser, Table, run, whole
from . import (
    covariance_bound,
    data_dependent_covariance,
    enumerated_moments,
    two_point_batches,
    update_covariance,
    update_mean,
)
from .sampling import sampled_moments

FALSE_ALARM_RATE = 1e-9  # of the whole sampled table
ROUNDING = 1e-9  # far above what sums of 65,536 terms lose, far below any error worth the name
LEARNING_RATE = 0.1
DRAWS = 100_000
EXACT = [(a, b, n, size) for a, b in ((0.6, 1), (0.6, 5), (0.9, 10)) for n, size in ((2, 16), (4, 4), (8, 1))]
SAMPLED = [(a, b, 8, size) for a, b in ((0.6, 1), (0.6, 5), (0.9, 5)) for size in (1, 16)]
ADAM_KEEP = (1.0, 0.69, 0.45, 0.23, 0.1, 0.01)
ADAM_STEPS, ADAM_ENTRIES = 3_000, 400


def exact_row(threshold: float, sharpness: float, n: int, batch_size: int, seed: int) -> dict[str, Any]:
    """Enumeration against the closed forms, p fixed and p from the batch; largest entries scaled to 1."""
    mu = np.random.default_rng(seed).normal(size=n)
    gbar, weights = two_point_batches(mu, 1.0, batch_size)
    p = keep_probability(np.linspace(0, 1, n), threshold, sharpness)
    p_of_batch = np.stack([keep_probability(rank_normalise(g * g), threshold, sharpness) for g in gbar])

    mean, cov = enumerated_moments(gbar, weights, np.broadcast_to(p, gbar.shape), LEARNING_RATE)
    mean_b, cov_b = enumerated_moments(gbar, weights, p_of_batch, LEARNING_RATE)
    expected = update_mean(mu, LEARNING_RATE)
    plain = update_covariance(mu, 1.0, batch_size, np.ones(n), LEARNING_RATE)
    # One bound for both: no p lies below that of rank 0.
    least = float(keep_probability(np.zeros(1), threshold, sharpness)[0])
    bound = covariance_bound(mu, 1.0, batch_size, least, LEARNING_RATE)
    return {
        "threshold": threshold,
        "sharpness": sharpness,
        "n": n,
        "batch_size": batch_size,
        "smallest_p": float(p.min()),
        "cases": int(len(gbar) * 2**n),
        "mean_error": _scaled(mean, expected),
        "covariance_error": _scaled(cov, update_covariance(mu, 1.0, batch_size, p, LEARNING_RATE)),
        "mean_error_p_of_batch": _scaled(mean_b, expected),
        "covariance_error_p_of_batch": _scaled(
            cov_b, data_dependent_covariance(gbar, weights, p_of_batch, LEARNING_RATE)
        ),
        "variance_growth": float(np.trace(cov) / np.trace(plain)),
        "bound_violations": _below(bound, cov) + _below(bound, cov_b),
        "below_unmasked": _below(cov, plain) + _below(cov_b, plain),
    }


def _scaled(got: Floats, wanted: Floats) -> float:
    return float(np.max(np.abs(got - wanted)) / np.max(np.abs(wanted)))


def _below(larger: Floats, smaller: Floats) -> int:
    """1 where larger - smaller has a negative eigenvalue that rounding does not explain, else 0."""
    return int(np.linalg.eigvalsh(larger - smaller).min() < -1e-12 * np.abs(larger).max())


def sampled_row(threshold: float, sharpness: float, n: int, batch_size: int, seed: int) -> dict[str, Any]:
    """Gaussian gradients and sampled masks against Eq. 17 and 18, in standard errors."""
    rng = np.random.default_rng(seed)
    mu, p = rng.normal(size=n), keep_probability(np.linspace(0, 1, n), threshold, sharpness)
    means, covariances = sampled_moments(mu, 1.0, batch_size, p, DRAWS, FALSE_ALARM_RATE / len(SAMPLED), rng)
    both = means + covariances
    seen = [e.detectable / abs(float(m)) for e, m in zip(means, mu, strict=True)]
    return {
        "threshold": threshold,
        "sharpness": sharpness,
        "n": n,
        "batch_size": batch_size,
        "smallest_p": float(p.min()),
        "mean_z": max(abs(e.z) for e in means),
        "covariance_z": max(abs(e.z) for e in covariances),
        "share_of_limit": max(e.share_of_limit for e in both),
        "alarms": sum(e.alarm for e in both),
        "detectable_bias_largest_p": seen[-1],
        "detectable_bias_smallest_p": seen[0],
    }


def adamw_rows(seed: int) -> list[dict[str, float]]:
    """Mean steps of SGD and AdamW under masks, in unmasked steps, for a constant gradient of 1."""
    rng = np.random.default_rng(seed)
    p = np.repeat(np.array(ADAM_KEEP)[:, None], ADAM_ENTRIES, axis=1)
    ones = {name: np.ones_like(p) for name in ("rescaled", "not_rescaled", "first_moment", "update")}
    theta = {name: np.zeros_like(p) for name in ones}
    moments, settled, sgd = no_moments(theta), ADAM_STEPS // 3, np.zeros_like(p)
    for step in range(ADAM_STEPS):
        if step == settled:  # the running means have forgotten their start
            start = theta
        mask = bernoulli_mask(p, rng)
        rescaled, not_rescaled = np.where(mask, 1 / p, 0), np.where(mask, 1.0, 0)
        handed = ones | {"rescaled": rescaled, "not_rescaled": not_rescaled, "first_moment": rescaled}
        seen = handed | {"first_moment": ones["first_moment"]}
        after, moments = adamw(theta, handed, moments, 1.0, weight_decay=0.0, unmasked=seen)
        move = after["update"] - theta["update"]
        theta = after | {"update": theta["update"] + rescaled * move}
        sgd += rescaled / ADAM_STEPS
    moved = {name: (start[name] - theta[name]).mean(axis=1) / (ADAM_STEPS - settled) for name in theta}
    return [
        {
            "p": keep,
            "sgd": float(sgd[i].mean()),
            "adamw": float(moved["rescaled"][i]),
            "adamw_without_rescaling": float(moved["not_rescaled"][i]),
            "sqrt_p": keep**0.5,
            "adamw_bias": float(moved["rescaled"][i]) - 1,
            "adamw_first_moment": float(moved["first_moment"][i]),
            "adamw_update": float(moved["update"][i]),
        }
        for i, keep in enumerate(ADAM_KEEP)
    ]


# The columns that say which case a row is: threshold, sharpness, entries, batch, least keep probability.
CASE = (("a", 3, ".1f"), ("b", 2, "d"), ("n", 2, "d"), ("|B|", 3, "d"), ("min p", 7, ".1e"))


def lines(result: dict[str, Any], seed: int) -> Iterator[str]:
    """Compute everything into `result`, and yield what is printed as it comes."""
    yield "Theorem 1: E[m/p g] = g, and by how much the variance grows"
    yield from _exact_part(result, seed)
    yield from _sampled_part(result, seed)
    yield from _adamw_part(result, seed)


def _exact_part(result: dict[str, Any], seed: int) -> Iterator[str]:
    yield """
1  Exactly: the sum over every batch and every mask, no randomness.

   mean, cov     largest error against (17) and (18), the largest entry scaled
                 to 1: rounding, nothing else
   mean*, cov*   the same, with p from the ranks of the batch as in Algorithm 1
   growth        total variance of the masked update, in that of the unmasked
"""
    table = Table(
        *CASE,
        ("cases", 6, ",d"),
        *((name, 6, ".0e") for name in ("mean", "cov", "mean*", "cov*")),
        ("growth", 8, ".3g"),
    )
    yield table.head()
    rows = result["enumeration"] = []
    for case in EXACT:
        rows.append(exact_row(*case, seed))
        yield table.row(*list(rows[-1].values())[: len(table.columns)])
    result["enumeration_max_abs_error"] = max(v for row in rows for k, v in row.items() if "error" in k)
    result["bound_violations"] = sum(row["bound_violations"] for row in rows)
    result["below_unmasked"] = sum(row["below_unmasked"] for row in rows)
    yield f"""
   Largest error {result["enumeration_max_abs_error"]:.0e}. Of {2 * len(rows)} covariances \
{result["bound_violations"]} violate the bound (19), and
   {result["below_unmasked"]} lie anywhere below the unmasked one: the mask adds variance and never
   removes any."""


def _sampled_part(result: dict[str, Any], seed: int) -> Iterator[str]:
    yield f"""
2  By sampling: in every row {DRAWS:,} batches of Gaussian gradients, each with
   its own mask.

   mean, cov     largest deviation from (17) and (18), in standard errors
   of limit      largest deviation, in that which raises an alarm; the limits
                 are proven, not asymptotic, and the chance of any false alarm
                 in the whole table is at most {FALSE_ALARM_RATE:g}
   sees          smallest bias of the mean that is not missed, in the mean, at
                 the largest and the least p
"""
    table = Table(
        *CASE,
        *(("mean", 5, ".2f"), ("cov", 5, ".2f"), ("of limit", 8, ".0%"), ("alarms", 6, "d")),
        *(("sees, max p", 11, ".1%"), ("min p", 6, ".0%")),
    )
    yield table.head()
    rows = result["monte_carlo"] = []
    for case in SAMPLED:
        rows.append(sampled_row(*case, seed))
        yield table.row(*rows[-1].values())
    result["draws"], result["false_alarm_rate"] = DRAWS, FALSE_ALARM_RATE
    result["monte_carlo_max_z"] = max(max(row["mean_z"], row["covariance_z"]) for row in rows)
    result["monte_carlo_alarms"] = sum(row["alarms"] for row in rows)
    yield f"""
   Largest deviation {result["monte_carlo_max_z"]:.2f} standard errors, {result["monte_carlo_alarms"]} alarms.
   Sampling is all but blind where p is small: there only the sums of part 1
   can tell."""


def _adamw_part(result: dict[str, Any], seed: int) -> Iterator[str]:
    yield """
3  Where it stops: the mean step under masks for a constant gradient, in
   unmasked steps.

   AdamW is handed a gradient with the right mean, but its step is not linear in
   it: the mean step shrinks by about sqrt(p), with 1/p or without. With m/p in
   its first moment alone, or on its update, the mean step is the unmasked one.

                   AdamW, mask on the gradient            mask on the"""
    table = Table(
        *(("p", 4, ".2f"), ("SGD, 1/p", 8, ".3f"), ("1/p", 5, ".3f"), ("no 1/p", 6, ".3f")),
        *(("sqrt(p)", 7, ".3f"), ("bias", 7, "z.1%"), ("first moment", 12, ".3f"), ("update", 6, ".3f")),
    )
    yield table.head()
    rows = result["adamw"] = adamw_rows(seed)
    for row in rows:
        yield table.row(*row.values())
    result["adamw_bias"] = min(row["adamw_bias"] for row in rows)


def main(arguments: list[str] | None = None) -> int:
    """Print the verification. The exit code is 1 if anything in parts 1 and 2 does not hold."""
    parser = Parser(prog="python -m uegr_ref.theorem1", description=(__doc__ or "").split(": `")[0] + ".")
    parser.add_argument("--seed", type=whole(0), default=0, help="of all random numbers (default 0)")
    parser.add_argument("--json", action="store_true", help="print the same as one JSON object")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    result: dict[str, Any] = {"seed": options.seed}
    for line in lines(result, options.seed):
        if not options.json:
            print(line, flush=True)
    failures = result["bound_violations"] + result["below_unmasked"] + result["monte_carlo_alarms"]
    result["holds"] = result["enumeration_max_abs_error"] < ROUNDING and failures == 0
    result["seconds"] = round(time.perf_counter() - start, 2)
    if options.json:
        print(json.dumps(result))
    else:
        verdict = "The theorem holds" if result["holds"] else "NOT ALL OF IT HOLDS"
        print(f"\n{verdict} ({result['seconds']:.1f} s).")
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    run(main)
