"""Every part of the zoo's step equals the NumPy reference on the same inputs, in float64.

The reference is an independent witness: it uses no autograd and shares no code with the zoo.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import uegr_ref
from zoo.fast.shapes import demand_fixed_shapes
from zoo.method import rates
from zoo.method.backward import selective
from zoo.method.forward import divergence
from zoo.method.forward.attack import SCOPES, perturbation, project
from zoo.method.rates import embedding_rms

TOLERANCE = 1e-10
numbers = st.floats(-30, 30, width=32)
positive = st.floats(0, 100, width=32)


@pytest.fixture(autouse=True, scope="module", params=[nullcontext, demand_fixed_shapes], ids=["cpu", "fixed"])
def shapes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything twice: as a CPU does it, and in the fixed shapes that a GPU needs."""
    with request.param():
        yield


def close(got: torch.Tensor | np.ndarray | float, wanted: np.ndarray | float) -> None:
    got = got.detach().numpy() if isinstance(got, torch.Tensor) else got
    np.testing.assert_allclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE)


@st.composite
def batches_of_logits(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    k, n, c = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    logits = draw(hnp.arrays(np.float64, (k, n, c), elements=numbers))
    return logits, draw(hnp.arrays(np.int64, n, elements=st.integers(0, c - 1)))


@given(batches_of_logits())
def test_cross_entropy(problem: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = problem
    z = torch.tensor(logits, requires_grad=True)
    loss = divergence.cross_entropy(z, torch.tensor(labels)).mean()
    loss.backward()
    close(loss, uegr_ref.adversarial_loss(logits, labels))
    close(z.grad, uegr_ref.adversarial_loss_grad(logits, labels))


@pytest.mark.parametrize("name", ["js", "js_pairwise", "sym_kl"])
@given(batches_of_logits())
def test_divergences_and_their_gradients(name: str, problem: tuple[np.ndarray, np.ndarray]) -> None:
    logits, _ = problem
    z = torch.tensor(logits, requires_grad=True)
    value = divergence.DIVERGENCES[name](z).mean()
    value.backward()
    close(value, getattr(uegr_ref, name)(logits))
    close(z.grad, getattr(uegr_ref, f"{name}_grad")(logits))


@st.composite
def gradients(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    b, t, d = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    gradient = draw(hnp.arrays(np.float64, (b, t, d), elements=numbers))
    if draw(st.booleans()):
        gradient[draw(st.integers(0, b - 1)), draw(st.integers(0, t - 1)), 0] = draw(
            st.sampled_from([np.nan, np.inf])
        )
    lengths = draw(hnp.arrays(np.int64, b, elements=st.integers(0, t)))
    tokens = draw(hnp.arrays(np.int64, (b, t), elements=st.integers(1, 4)))
    return gradient, np.arange(t) < lengths[:, None], tokens


@given(gradients(), st.floats(0, 2))
def test_perturbations(problem: tuple[np.ndarray, np.ndarray, np.ndarray], epsilon: float) -> None:
    gradient, mask, tokens = problem
    g, m, ids = torch.tensor(gradient), torch.tensor(mask), torch.tensor(tokens)
    close(perturbation(g, m, epsilon, "fgsm"), uegr_ref.fgsm(gradient, epsilon, mask))
    close(perturbation(g, m, epsilon, "token_linf"), uegr_ref.token_linf(gradient, epsilon, mask))
    for scope in ("example", "token", "batch", "table"):
        wanted = uegr_ref.fgm(gradient, epsilon, mask, scope, tokens)
        close(perturbation(g, m, epsilon, "fgm", scope, ids), wanted)


@pytest.mark.parametrize(
    ("attack", "scope"),
    [("fgsm", "example"), ("token_linf", "example"), *(("fgm", scope) for scope in SCOPES)],
)
def test_pgd_is_the_repeated_projected_step(attack: str, scope: str) -> None:
    rng = np.random.default_rng(0)
    x, matrix = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 4))

    def gradient_at(point: np.ndarray) -> np.ndarray:
        return np.tanh(point @ matrix)

    # A word that stands at a masked place too does not count there.
    mask, tokens = np.array([[True] * 3, [True, True, False]]), np.array([[1, 2, 1], [2, 3, 3]])
    kind, delta = (attack, scope, torch.tensor(tokens)), torch.zeros(2, 3, 4, dtype=torch.float64)
    for _ in range(4):
        gradient = torch.tensor(gradient_at(x + delta.numpy()))
        moved = delta + perturbation(gradient, torch.tensor(mask), 0.3, *kind)
        delta = project(moved, 0.5, *kind, torch.tensor(mask))
    close(delta, uegr_ref.pgd(gradient_at, x, 0.5, 0.3, 4, mask, attack, scope, tokens))


@given(gradients())
def test_unit_of_epsilon(problem: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    gradient, mask, _ = problem
    vectors = np.nan_to_num(gradient, posinf=1.0)
    close(
        embedding_rms(torch.tensor(vectors), torch.tensor(mask)),
        uegr_ref.relative_epsilon(vectors, 1.0, mask),
    )


@given(gradients())
def test_gradient_norm(problem: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    gradient, mask, _ = problem
    gradient = np.nan_to_num(gradient, posinf=1.0)
    g = torch.tensor(gradient)
    close(rates.gradient_norm(g, torch.tensor(mask)), uegr_ref.gradient_norm(gradient, mask))
    close(rates.gradient_norm(g[:, 0]), uegr_ref.gradient_norm(gradient[:, 0]))


@pytest.mark.parametrize("kind", ["uniform", "mean", "rank", "logistic", "inverse"])
@given(
    hnp.arrays(np.float64, st.integers(1, 9), elements=st.one_of(st.just(0.0), positive)),
    st.lists(st.floats(0.05, 0.9), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    st.sampled_from([(0.0, 0.95), (0.05, 0.9), (0.0, 0.9)]),
)
def test_drop_rates(
    kind: str, norms: np.ndarray, base_rates: list[float], gamma: float, limits: tuple[float, float]
) -> None:
    got = rates.drop_rates(torch.tensor(norms), torch.tensor(base_rates).double(), kind, gamma, *limits)
    # A float32 round trip would hide nothing here: both sides get the same float64 base rates.
    for k, base_rate in enumerate(torch.tensor(base_rates).double().tolist()):
        wanted = uegr_ref.drop_rates(norms, base_rate, gamma, kind, *limits)
        np.testing.assert_allclose(got[k].numpy(), wanted, rtol=0, atol=1e-9)


def saliencies() -> st.SearchStrategy[np.ndarray]:
    entries = st.one_of(st.just(0.0), st.sampled_from([1.0, 2.0]), st.floats(1e-30, 1e6))
    return hnp.arrays(np.float64, st.integers(1, 30), elements=entries)


@pytest.mark.parametrize("name", ["rank", "minmax", "log_minmax"])
@given(saliencies())
def test_normalisers(name: str, saliency: np.ndarray) -> None:
    wanted = getattr(uegr_ref, f"{name}_normalise")(saliency)
    close(selective.NORMALISERS[name](torch.tensor(saliency)), wanted)


@given(saliencies(), st.floats(0, 1), st.floats(0.1, 10), st.sampled_from([0.0, 0.2]))
def test_keep_probability(saliency: np.ndarray, a: float, b: float, floor: float) -> None:
    rule = selective.Selective(threshold=a, sharpness=b, p_floor=floor)
    wanted = uegr_ref.keep_probability(uegr_ref.rank_normalise(saliency), a, b, floor)
    close(rule.probabilities(torch.tensor(saliency), [len(saliency)]), wanted)


@settings(max_examples=30)
@given(hnp.arrays(np.float64, st.integers(1, 30), elements=numbers), st.integers(0, 2**31))
def test_selective_update(gradient: np.ndarray, seed: int) -> None:
    parameter = torch.nn.Parameter(torch.zeros(len(gradient), dtype=torch.float64))
    parameter.grad = torch.tensor(gradient)
    noise = np.random.default_rng(seed).random(len(gradient))
    update = selective.SelectiveUpdate([parameter])
    update.uniform = lambda p: torch.tensor(noise)  # type: ignore[method-assign]
    update.apply()
    p = uegr_ref.keep_probability(uegr_ref.rank_normalise(uegr_ref.batch_saliency(gradient)), 0.6, 1.0)
    close(parameter.grad, uegr_ref.unbiased_gradient(gradient, noise < p, p))
