"""Do the tests of the reference test anything? Plant errors in copies of it and see what objects.

    python tests/mutants.py            a table as it goes; exit code 1 if an error stays unseen
    python tests/mutants.py --json     one object: planted, caught, seconds, mutants
    python tests/mutants.py fgsm js    only the errors whose name contains one of the words

Each copy runs the test files named beside its error, up to the first failure.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).parents[1]
TIMEOUT = 120.0


class Mutant(NamedTuple):
    """`old`, which stands once in uegr_ref/`file`.py, becomes `new`; `tests` are stems of test_ref_*.py."""

    name: str
    file: str
    tests: str
    old: str
    new: str


# name | file | tests, if not those of the file, over the text to find (-) and the text to put there (+).
PLANTED = r"""
fgsm: goes downhill | perturb
- return epsilon * np.sign(
+ return -epsilon * np.sign(

attacks: perturb padding | perturb
- np.where(real[:, :, None], g, 0), real
+ g, real

fgm: one norm for the batch | perturb
- "example": (1, 2)
+ "example": (0, 1, 2)

fgm by table: one occurrence of a word counts | perturb
- np.add.at(table, row_of, g)
+ table[row_of] = g

token_linf: largest entry of the text | perturb
- largest(g, axis=2)
+ largest(g, axis=(1, 2))

pgd: leaves the ball | perturb
- np.clip(delta + fgsm(gradient, step_size, mask), -epsilon, epsilon)
+ delta + fgsm(gradient, step_size, mask)

pgd: gradient at the start only | perturb
- gradient_at(x + delta)
+ gradient_at(x)

relative epsilon: padding counts | perturb
- x[checks.real_tokens(mask, x.shape[:2])]
+ x

fgsm: NaN spoils its entry only | perturb
- np.isfinite(g).all(axis=(1, 2), keepdims=True)
+ np.isfinite(g)

log_softmax: no maximum taken out | numeric | losses
- top: Floats = z.max(axis=-1, keepdims=True)
+ top: Floats = 0 * z.max(axis=-1, keepdims=True)

cross-entropy: sum for mean | losses
- [np.arange(len(z)), y]) / examples(z))
+ [np.arange(len(z)), y]))

cross-entropy gradient: 0.1 % off | losses
- grad[np.arange(len(z)), y] -= 1
-     return grad
+ grad[np.arange(len(z)), y] -= 1
+     return 1.001 * grad

js: missing 1/K | divergence
- / (len(log_p) * examples(log_p)))
+ / examples(log_p))

js: sum over the examples | divergence
- / (len(log_p) * examples(log_p)))
+ / len(log_p))

js: KL to the first model | divergence
- return log_p - (top +
+ return log_p - log_p[0] - 0 * (top +

js gradient: missing 1/K | divergence
- / (len(p) * examples(p))
+ / examples(p)

js gradient: not projected | divergence
- return p * (r - total(p * r, axis=-1)) / (len
+ return p * r / (len

symmetric KL: one side | divergence
- np.sum((p[0] - p[1]) *
+ np.sum(2 * p[0] *

symmetric KL gradient: half of it | divergence
-  + p - p[::-1]
+

pairs: sum for mean | divergence
- return sum(values) / max(len(values), 1)
+ return sum(values)

adversarial loss: sum for mean | losses
- for z_k in z) / (max(len(z), 1) if reduction == "mean" else 1)
+ for z_k in z)

total loss gradient: alpha forgotten | losses
- grad + alpha * consistency_loss_grad(
+ grad + consistency_loss_grad(

total loss: divergence subtracted | losses
- + checks.number("alpha", alpha, 0) * consistency
+ - checks.number("alpha", alpha, 0) * consistency

labels: out of range wraps around | losses
- y = checks.ints("labels", labels, (len(z),), below=z.shape[1])
-     return float
+ y = np.asarray(labels, dtype=int)
+     return float

drop rates: solve off by one per cent | dropout
- c = float((total - low
+ c = 1.01 * float((total - low

drop rates: fall with the norm | dropout
- {"mean": power,
+ {"mean": 1 + power.min() - power,

drop rates: clipped after the solve | dropout
- - low * np.sum(inside <= low) - high * np.sum(inside >= high)) / a[free].sum())
+ ) / a.sum())

drop rates: gamma ignored | dropout
- power = x**gamma
+ power = x

dropout: keeps with probability q | dropout
- .random(shape) >= q
+ .random(shape) < q

dropout: one mask for all positions | dropout
- .random(shape) >= q
+ .random(shape[-1:]) + np.zeros(shape) >= q

dropout: not rescaled | dropout
- h / (1 - q).astype(h.dtype)
+ h

dropout: rescaled by q | dropout
- h / (1 - q).astype(h.dtype)
+ h / np.maximum(q, 1e-3)

gradient norm: padding counts | dropout
- g = g[checks.bools("mask", mask, g.shape[:-1])]
+ checks.bools("mask", mask, g.shape[:-1])

gradient norm: no square root | dropout
- return np.sqrt(mean(rows * rows, axis=0))
+ return mean(rows * rows, axis=0)

saliency: absolute value | saliency
-     return g * g
+     return np.abs(g)

saliency: running mean swapped | saliency
- + (1 - rho) * s
+ + rho * s

per-sample saliency: squares the mean | saliency
- len(g))
-     return mean(g * g, axis=0)
-
-
- def rank
+ len(g))
+     return mean(g, axis=0) ** 2
+
+
+ def rank

ranks: zeros take part | saliency
-     matters = s > 0
-     n = int(matters
+     matters = s >= 0
+     n = int(matters

ranks: over n | saliency
- mid_ranks(s[matters]) / (n - 1)
+ mid_ranks(s[matters]) / n

ranks: ties by position | numeric | saliency dropout
- return (first + (size - 1) / 2)[group.reshape(x.shape)]
+ return np.argsort(np.argsort(x)).astype(float)

ranks: descending | saliency
- mid_ranks(s[matters])
+ mid_ranks(-s[matters])

mask: no 1/p | mask
- g / p.astype(g.dtype)
+ g

mask: 1/p twice | mask
- g / p.astype(g.dtype)
+ g / p.astype(g.dtype) ** 2

mask: p of another entry | mask
- g / p.astype(g.dtype)
+ g / np.flip(p).astype(g.dtype)

mask: the mean p for all | mask
- g / p.astype(g.dtype)
+ g / p.mean()

mask: shared over entries | mask
- .random(p.shape) < p
+ .random() < p

mask: inverted | mask
- .random(p.shape) < p
+ .random(p.shape) >= p

mask: sampler five per cent off | mask
- .random(p.shape) < p
+ .random(p.shape) < 1.05 * p

keep probability: missing 2 | mask
- sigmoid(2 * b * (s - a))
+ sigmoid(b * (s - a))

keep probability: falls with saliency | mask
- sigmoid(2 * b * (s - a))
+ sigmoid(2 * b * (a - s))

keep probability: p = 0 is rescaled | mask
- p = checks.within("p", p, 0, 1, g.shape, open_low=True)
+ p = checks.within("p", p, 0, 1, g.shape)

mean 1/p: wrong sign | mask
- return 1 + (math.exp
+ return 1 - (math.exp

(17): sign of the step | theorem1
- return -checks.number("learning_rate"
+ return checks.number("learning_rate"

(18): batch size forgotten | theorem1
- ** 2 / checks.count("batch_size", batch_size)
+ ** 2 + 0 * checks.count("batch_size", batch_size)

(18): mean's part without 1 - p | theorem1
- np.diag(noise / p + (1 - p) / p * mu * mu)
+ np.diag(noise / p + mu * mu / p)

(18): learning rate not squared | theorem1
- , 0) ** 2 * np.diag(noise
+ , 0) * np.diag(noise

(19): bound at twice p_min | theorem1
- np.full(np.shape(mu), p_min)
+ np.full(np.shape(mu), min(2 * p_min, 1))

total variance: Cov gbar forgotten | theorem1
- spread = (g - mean).T @ (w[:, None] * (g - mean)) + np
+ spread = np

enumeration: masks equally likely | theorem1
- np.where(masks, p, 1 - p)
+ np.where(masks, 0.5, 0.5)

Monte Carlo: limits too narrow | monte_carlo
- nats = math.log(1 / chance) / draws
+ nats = 0.5 * math.log(1 / chance) / draws

Monte Carlo: gradients without noise | monte_carlo
- generator(rng).normal(mu, sigma,
+ generator(rng).normal(mu, 0,

penalty: l2 norm for the sign form | penalty
- np.abs(g) if checks.choice("norm", norm, NORMS) == "linf" else np
+ checks.choice("norm", norm, NORMS) and np

js second order: 1/4 for 1/8 | penalty
- (8 * max(len(z), 1))
+ (4 * max(len(z), 1))

dropout penalty: missing 1/2 | penalty
- return float(0.5 * np.sum(q
+ return float(np.sum(q

model: derivative of tanh | model
- (1 - trace.hidden**2)
+ (1 - trace.hidden)

model: a repeated word counts once | model
- np.add.at(grad, tokens, gradient)
+ grad[tokens] = gradient

model: mean over padding too | model
- np.maximum(total(real.astype(x.dtype), axis=1), 1)
+ x.shape[1]

model: site gradient at its input | model
- (g_vectors, g_dropped))
+ (_drop_grad(g_vectors, trace.dropout[0]), g_dropped))

AdamW: decay inside the gradient's mean | optimizer
- b1 * u + (1 - b1) * gradient[name]
+ b1 * u + (1 - b1) * (gradient[name] + 0.01)

AdamW: no bias correction | optimizer
- second[name] / (1 - b2**t)
+ second[name]

Algorithm 1: p from the clean gradient | algorithm1
- saliency = batch_saliency(gradient)
+ saliency = batch_saliency(flatten(_add(theta, tokens, [clean])))

Algorithm 1: p sampled and divided by differ | algorithm1
- m = bernoulli_mask(p, mask_rng)
+ m = bernoulli_mask(np.sqrt(p), mask_rng)

Algorithm 1: the passes share a mask | algorithm1
- _draw(q, tokens, dropout_rng)
+ _draw(q, tokens, np.random.default_rng(0))

Algorithm 1: perturbs downhill | algorithm1
-     x_adv = x + delta
-
+     x_adv = x - delta
+

Algorithm 1: clean gradient left out | algorithm1
- backwards = [clean, *(
+ backwards = [*(

Algorithm 1: every pass at the clean rate | algorithm1
- _site_rates(norms, r, s, theta)
+ _site_rates(norms, s.clean_rate, s, theta)

Algorithm 1: stale norms for the passes | algorithm1
- _site_rates(norms, r, s, theta)
+ _site_rates(state.norms, r, s, theta)

Algorithm 1: absolute epsilon | algorithm1
- epsilon = relative_epsilon(x, s.epsilon, mask)
+ epsilon = s.epsilon

gradient checker: passes anything within a per cent | gradcheck
- TOLERANCE = 1e-6
+ TOLERANCE = 1e-2

gradient checker: forgets the 2 | gradcheck
- off = abs((up - down) / (2 * h)
+ off = abs((up - down) / h
"""


def read(planted: str) -> list[Mutant]:
    """The errors of that text."""
    mutants = []
    for block in planted.strip().split("\n\n"):
        head, *lines = block.split("\n")
        name, file, *tests = head.split(" | ")
        old, new = ("\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+")
        mutants.append(Mutant(name, file, tests[0] if tests else file, old, new))
    return mutants


MUTANTS = read(PLANTED)


def template(folder: Path) -> None:
    """A copy of the reference and its tests, without errors."""
    for part in ("uegr_ref", "tests/uegr_ref"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", folder)


def plant(mutant: Mutant, folder: Path) -> None:
    """Put the error into a copy."""
    path = folder / "uegr_ref" / f"{mutant.file}.py"
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise SystemExit(
            f"{mutant.name}: {mutant.old!r} stands {text.count(mutant.old)} times in {path.name}, not once"
        )
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def first_failure(folder: Path, tests: str) -> tuple[str | None, str]:
    """The first test that fails on a copy (None if all pass), and what pytest printed."""
    files = [f"tests/uegr_ref/test_ref_{stem}.py" for stem in tests.split()]
    options = [
        "-x",
        "-q",
        "--no-header",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=--import-mode=importlib",
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "HYPOTHESIS_PROFILE": "mutants",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "OMP_NUM_THREADS": "1",  # one core each: the copies are the parallelism
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", *options, *files]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"(nothing finished within {TIMEOUT:g} s)", ""
    failed = re.search(r"^FAILED tests/uegr_ref/(\S+)", done.stdout, re.MULTILINE)
    if done.returncode and not failed:  # a copy that does not even load proves nothing about the tests
        raise SystemExit(f"pytest could not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return (failed[1] if failed else None), done.stdout


def objection(mutant: Mutant, sound: Path) -> str | None:
    """The first test that fails on a copy of `sound` with the error in it.

    The copy takes the compiled files along, with their times: only the altered module is compiled anew.
    """
    with tempfile.TemporaryDirectory(prefix="uegr-mutant-") as name:
        folder = Path(name) / "copy"
        shutil.copytree(sound, folder)
        plant(mutant, folder)
        return first_failure(folder, mutant.tests)[0]


def main() -> int:
    """Plant them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="only the errors whose name contains one of these")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    chosen = [
        m
        for m in MUTANTS
        if not options.words or any(word.lower() in m.name.lower() for word in options.words)
    ]
    start = time.perf_counter()

    def say(line: str) -> None:
        if not options.json:
            print(line, flush=True)

    rows: list[dict[str, Any]] = []
    width = max((len(m.name) for m in chosen), default=0)
    with (
        tempfile.TemporaryDirectory(prefix="uegr-sound-") as name,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        sound = Path(name)
        template(sound)
        say(f"{len(chosen)} errors to plant; first the tests without any ...")
        failing, output = first_failure(
            sound, " ".join(sorted({stem for m in MUTANTS for stem in m.tests.split()}))
        )
        if failing:
            print(f"{failing} fails on the reference as it is:\n{output}", file=sys.stderr)
            return 1
        waiting = {pool.submit(objection, m, sound): m for m in chosen}
        for done in as_completed(waiting):
            mutant, by = waiting[done], done.result()
            rows.append(
                {
                    "name": mutant.name,
                    "file": f"uegr_ref/{mutant.file}.py",
                    "caught": by is not None,
                    "by": by,
                }
            )
            say(f"  {'caught' if by else 'MISSED'}  {mutant.name:{width}}  {by or ''}")
    order = {m.name: i for i, m in enumerate(chosen)}
    rows.sort(key=lambda row: order[row["name"]])
    caught, seconds = sum(row["caught"] for row in rows), round(time.perf_counter() - start, 1)
    if options.json:
        print(json.dumps({"planted": len(rows), "caught": caught, "seconds": seconds, "mutants": rows}))
    else:
        missed = [row["name"] for row in rows if not row["caught"]]
        say(
            f"\n{caught} of {len(rows)} caught in {seconds:g} s."
            + "".join(f"\nmissed: {name}" for name in missed)
        )
    return 0 if caught == len(rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
