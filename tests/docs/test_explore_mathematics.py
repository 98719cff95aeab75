"""The formulas of docs/explore/uegr.js, run by node, against the reference."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from masked_steps import steps_of
from uegr_ref import (
    cross_entropy,
    cross_entropy_grad,
    drop_rates,
    enumerate_masks,
    fgm,
    fgsm,
    js,
    keep_probability,
    log_softmax,
    mean_inverse_keep,
    mean_keep,
    rank_normalise,
    unbiased_gradient,
)
from uegr_ref.learn.properties.small_model import CLASSES, DIMENSIONS, HIDDEN, WORDS, case
from uegr_ref.learn.properties.strategies import binomial_alarm
from uegr_ref.model import backward, forward
from uegr_ref.stages import flatten
from uegr_ref.support.numeric import mid_ranks

EXPLORE = Path(__file__).parents[2] / "docs" / "explore"
pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no node here: Debian's nodejs")
RNG = np.random.default_rng(0)


def node(script: str, *arguments: Any) -> Any:
    """The value of an expression in `uegr` and `args`."""
    program = (
        f"const uegr = require({json.dumps(str(EXPLORE / 'uegr.js'))});"
        f"const args = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        f"console.log(JSON.stringify((() => {{ {script} }})()));"
    )
    done = subprocess.run(
        ["node", "-e", program], input=json.dumps(arguments), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def every(function: str, arguments: list) -> list:
    """A function on each of many lists of arguments, in one process."""
    return node(f"return args[0].map((one) => uegr.{function}(...one))", arguments)


def test_keep_probability_and_its_means():
    cases = [(*RNG.random(2), RNG.uniform(0.1, 10)) for _ in range(200)]
    wanted = [keep_probability([s], a, b)[0] for s, a, b in cases]
    assert np.allclose(every("keepProbability", cases), wanted, rtol=1e-12)
    pairs = [(a, b) for _, a, b in cases]
    assert np.allclose(every("meanKeep", pairs), [mean_keep(*pair) for pair in pairs], rtol=1e-10)
    assert np.allclose(
        every("meanInverseKeep", pairs), [mean_inverse_keep(*pair) for pair in pairs], rtol=1e-10
    )


def test_ranks():
    rows = [RNG.integers(0, 5, RNG.integers(1, 9)).astype(float).tolist() for _ in range(100)]
    for row, ranks, normalised in zip(
        rows, every("midRanks", [[r] for r in rows]), every("rankNormalise", [[r] for r in rows]), strict=True
    ):
        assert np.allclose(ranks, mid_ranks(np.array(row)))
        assert np.allclose(normalised, rank_normalise(row))


def test_drop_rates():
    cases = []
    for _ in range(200):
        norms = (RNG.random(8) * RNG.integers(0, 2, 8) * 10.0 ** RNG.integers(-2, 2)).tolist()
        high = RNG.uniform(0.1, 0.95)
        cases.append((norms, RNG.uniform(0, high), float(RNG.choice([0, 0.5, 1, 2, 3])), 0, high))
    for (norms, base_rate, gamma, _, high), got in zip(cases, every("dropRates", cases), strict=True):
        assert np.allclose(got, drop_rates(norms, base_rate, gamma, q_max=high), atol=1e-9)


def test_softmax_and_js():
    stacks = [RNG.normal(0, 5, (int(RNG.integers(1, 5)), 3)) for _ in range(100)]
    got = every("js", [[z.tolist()] for z in stacks])
    assert np.allclose(got, [js(z[:, None, :]) for z in stacks], atol=1e-12)
    rows = RNG.normal(0, 50, (50, 3))
    assert np.allclose(every("logSoftmax", [[z.tolist()] for z in rows]), log_softmax(rows))


@pytest.fixture(scope="module")
def toy() -> tuple[dict, float]:
    """The toy of the fourth picture as parameters of the reference's model: one word of two numbers."""
    numbers = node("return uegr.TOY")
    parameters = {
        "embedding": np.zeros((1, 2)),
        "hidden_weight": np.array(numbers["hiddenWeight"]),
        "hidden_bias": np.array(numbers["hiddenBias"]),
        "output_weight": np.array(numbers["outputWeight"]),
        "output_bias": np.array(numbers["outputBias"]),
    }
    return parameters, numbers["rate"]


def test_the_toy_is_the_references_model(toy):
    parameters, rate = toy
    one, nothing = np.ones((1, 1), bool), np.zeros(2)
    cases = [
        (RNG.normal(0, 2, 2).tolist(), int(RNG.integers(2)), keep)
        for keep in (None, [False, True, True], [True, False, True])
        for _ in range(30)
    ]
    losses, gradients = every("lossOf", cases), every("gradientOf", cases)
    logits = every("logitsOf", [(x, keep) for x, _, keep in cases])
    for (x, label, keep), loss, gradient, got in zip(cases, losses, gradients, logits, strict=True):
        dropout = keep and (
            (np.ones((1, 1, 2), bool), nothing), (np.array([keep]), np.full(3, rate))
        )  # fmt: skip
        z, trace = forward(parameters, np.array(x)[None, None], one, dropout)
        assert np.allclose(got, z[0], rtol=1e-12)
        assert np.isclose(loss, cross_entropy(z, [label]), rtol=1e-12)
        wanted = backward(parameters, trace, cross_entropy_grad(z, [label])).vectors.ravel()
        assert np.allclose(gradient, wanted, atol=1e-12)


def test_the_attacks():
    gradients = [*RNG.normal(size=(50, 2)), np.zeros(2)]
    for name, attack in (("fgsm", fgsm), ("fgm", fgm)):
        got = every("perturbation", [(g.tolist(), 0.7, name) for g in gradients])
        assert np.allclose(got, [attack(g.reshape(1, 2, 1), 0.7).ravel() for g in gradients])


def test_the_mask_is_bernoulli_and_repeats():
    p = [0.02, 0.23, 0.45, 0.69, 0.98]
    script = (
        "const random = uegr.generator(args[0]);"
        "return Array.from({length: 50000}, () => uegr.bernoulliMask(args[1], random))"
    )
    m = np.array(node(script, 3, p))
    assert not binomial_alarm(m.sum(axis=0), len(m), np.array(p), 1e-9)
    both = np.sum(m[:, 1] & m[:, 2])
    assert not binomial_alarm(np.array([both]), len(m), np.array([p[1] * p[2]]), 1e-9)
    assert (m == np.array(node(script, 3, p))).all()


RULES = [(rule, rescale) for rule in ("sgd", "adam", "adam_update") for rescale in (True, False)]


@pytest.mark.parametrize(("rule", "rescale"), RULES)
def test_the_steps_are_those_of_the_reference_under_the_same_masks(rule, rescale):
    g, p = np.array([0.3, -0.5, 2.0]), np.array([0.2, 0.5, 0.9])
    masks = RNG.random((60, 3)) < p
    got = node(
        "const [g, p, masks, rule, rescale] = args; const state = uegr.startOfSteps(3);"
        "masks.forEach((m) => uegr.drawStep(state, g, p, m, rule, rescale));"
        "return [uegr.meansOf(state), uegr.variancesOf(state)]",
        g.tolist(), p.tolist(), masks.tolist(), rule, rescale,
    )  # fmt: skip
    steps = steps_of(g, p, masks, rule, rescale)
    assert np.allclose(got[0], steps.mean(axis=0), rtol=1e-6)
    assert np.allclose(got[1], steps.var(axis=0), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("rescale", [True, False])
def test_what_the_means_and_variances_tend_to(rescale):
    g, p = np.array([0.3, -0.5, 2.0]), np.array([0.2, 0.5, 0.9])
    masks, weights = enumerate_masks(p)
    for rule in ("sgd", "adam_update"):
        step = g if rule == "sgd" else np.sign(g)
        each = np.array([unbiased_gradient(step, m, p) if rescale else np.where(m, step, 0) for m in masks])
        mean = weights @ each
        variance = weights @ (each - mean) ** 2
        script = (
            "const [g, p, rule, rescale] = args; const step = uegr.unmaskedStep(g, rule);"
            "return step.map((s, i) => [s * uegr.shareOfStep(p[i], rule, rescale),"
            " uegr.varianceOfStep(s, p[i], rule, rescale)])"
        )
        got = np.array(node(script, g.tolist(), p.tolist(), rule, rescale))
        assert np.allclose(got, np.stack([mean, variance], axis=1))
    # Adam on the masked gradient: about the root of p, as the reference's own steps have it.
    masks = np.random.default_rng(1).random((6000, 3)) < p
    share = np.abs(steps_of(g, p, masks, "adam", rescale).mean(axis=0))
    assert np.allclose(every("shareOfStep", [(x, "adam", rescale) for x in p]), share, rtol=0.1)


def test_the_sizes_of_the_walk_are_those_of_a_model_of_the_reference():
    sizes, number = node("return [uegr.SIZES, uegr.parametersOf(uegr.SIZES)]")
    one = case(np.random.default_rng(0))
    b, t = one.tokens.shape
    assert sizes == {"B": b, "T": t, "D": DIMENSIONS, "H": HIDDEN, "C": CLASSES, "V": WORDS}
    assert number == flatten(one.parameters).size
