"""The page of pictures in a real browser: every number on it against the reference, keys, sizes, colours."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

import browser
from browser import numbers, put
from masked_steps import steps_of
from uegr_ref import (
    cross_entropy,
    cross_entropy_grad,
    drop_rates,
    fgm,
    fgsm,
    gradient_norm,
    js,
    keep_probability,
    mean_inverse_keep,
    mean_keep,
    rank_normalise,
    unbiased_gradient,
)
from uegr_ref.learn.properties.small_model import case
from uegr_ref.learn.properties.small_step import start
from uegr_ref.model import backward, embed, forward
from uegr_ref.settings import Settings
from uegr_ref.stages import flatten

PAGE = Path(__file__).parents[2] / "docs" / "explore" / "index.html"
pytestmark = pytest.mark.skipif(browser.found() is None, reason="no Chromium here: apt-get install chromium")
CHECKED: set[str] = set()  # the outputs whose numbers some test compared


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.Browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chromium):
    chromium.events.clear()
    chromium.open(PAGE)
    return chromium


def text(page, name: str) -> str:
    CHECKED.add(name)
    return page.run(f"document.getElementById('{name}').textContent")


def shows(page, name: str, *wanted: float) -> None:
    """The numbers of an output are these, to the digits that it has."""
    shown = text(page, name)
    got = numbers(shown)
    assert len(got) == len(wanted), (name, shown)
    for (value, half), right in zip(got, wanted, strict=True):
        assert abs(value - right) <= half + 1e-12 * abs(right), (name, shown, wanted)


@pytest.mark.parametrize(("a", "b", "s"), [(0.6, 1, 0.8), (0.9, 10, 1), (0, 0.1, 0), (0.35, 4.2, 0.1)])
def test_the_numbers_of_the_keep_probability(page, a, b, s):
    for name, value in (("a", a), ("b", b), ("s", s)):
        put(page, f"keep-{name}-in", value)
        shows(page, f"keep-{name}", value)
    p = keep_probability([s], a, b)[0]
    shows(page, "keep-p", p)
    shows(page, "keep-share", 100 * mean_keep(a, b))
    shows(page, "keep-cost", mean_inverse_keep(a, b))
    drawn = page.run(
        "[...document.querySelectorAll('#keep svg text')].map(t => t.textContent).find(t => /p =/.test(t))"
    )
    assert abs(float(drawn.removeprefix("p = ")) - p) < 6e-4


@pytest.mark.parametrize("rule", ["sgd", "adam", "adam_update"])
@pytest.mark.parametrize("rescale", [True, False])
def test_the_numbers_of_theorem_1(page, rule, rescale):
    put(page, "theorem-rule", rule)
    put(page, "theorem-rescale", rescale)
    for count in (100, 1, 100):
        page.run(f"document.querySelector('[data-draw=\"{count}\"]').click()")
    shows(page, "theorem-draws", 201)
    g, p, masks = (np.array(x) for x in page.run("[theorem.G, theorem.P, theorem.masks()]"))
    assert np.allclose(p, keep_probability(rank_normalise(g * g), 0.6, 1))
    steps = steps_of(g, p, masks, rule, rescale)
    whole = g if rule == "sgd" else np.sign(g)
    tends = whole * (np.sqrt(p) if rule == "adam" else 1 if rescale else p)
    each = np.array([unbiased_gradient(whole, m, p) if rescale else np.where(m, whole, 0) for m in masks])
    factor = (1 - p) / p if rescale else p * (1 - p)
    assert each.shape == masks.shape
    rows = page.run(
        "[...document.querySelectorAll('#theorem-rows tr')].map(r => [...r.cells].map(c => c.textContent))"
    )
    for i, (_, *cells) in enumerate(rows):
        wanted = [g[i], p[i], steps[:, i].mean(), tends[i], steps[:, i].var(), factor[i] * whole[i] ** 2]
        for place, (cell, right) in enumerate(zip(cells, wanted, strict=True)):
            if rule == "adam" and place == 5:
                assert cell == "–"
                continue
            [(value, half)] = numbers(cell)
            assert abs(value - right) <= half + 1e-6, (rule, rescale, cells, wanted)
    page.run("document.getElementById('theorem-again').click()")
    shows(page, "theorem-draws", 0)


@pytest.mark.parametrize(
    ("r", "gamma", "most"), [(0.2, 1, 0.95), (0.5, 3, 0.6), (0.1, 0, 0.3), (0.9, 1, 0.4)]
)
def test_the_numbers_of_adaptive_dropout(page, r, gamma, most):
    put(page, "dropout-max-in", most)
    put(page, "dropout-gamma-in", gamma)
    put(page, "dropout-r-in", r)
    r = min(r, most)
    norms = page.run(
        "[...document.querySelectorAll('#dropout .handle')].map(h => Number(h.getAttribute('aria-valuenow')))"
    )
    q = drop_rates(norms, r, gamma, q_max=most)
    shows(page, "dropout-r", r)
    shows(page, "dropout-gamma", gamma)
    shows(page, "dropout-max", most)
    shows(page, "dropout-mean", r)
    shows(page, "dropout-least", q.min())
    shows(page, "dropout-most", q.max())
    labels = page.run("[...document.querySelectorAll('#dropout .rate')].map(t => Number(t.textContent))")
    assert np.allclose(labels, q, atol=0.00501)


@pytest.mark.parametrize(
    ("epsilon", "kind", "label"), [(0.6, "fgsm", 0), (1.5, "fgm", 0), (0, "fgsm", 1), (0.3, "fgm", 1)]
)
def test_the_numbers_of_the_attack(page, epsilon, kind, label):
    put(page, "attack-epsilon-in", epsilon)
    put(page, "attack-kind", kind)
    put(page, "attack-label", label)
    page.run("document.querySelector('#attack .handle').focus()")
    page.press("ArrowRight")
    page.press("ArrowDown")
    x = np.array([0.7, 0.4])
    shows(page, "attack-x", *x)
    toy = page.run("uegr.TOY")
    parameters = {
        "embedding": np.zeros((1, 2)), "hidden_weight": np.array(toy["hiddenWeight"]),
        "hidden_bias": np.array(toy["hiddenBias"]), "output_weight": np.array(toy["outputWeight"]),
        "output_bias": np.array(toy["outputBias"]),
    }  # fmt: skip
    one = np.ones((1, 1), bool)

    def logits(at, keep=None):
        drop = keep and ((np.ones((1, 1, 2), bool), np.zeros(2)), (np.array([keep]), np.full(3, toy["rate"])))
        return forward(parameters, at[None, None], one, drop)

    z, trace = logits(x)
    gradient = backward(parameters, trace, cross_entropy_grad(z, [label])).vectors
    delta = {"fgsm": fgsm, "fgm": fgm}[kind](gradient, epsilon).ravel()
    after, _ = logits(x + delta)
    shows(page, "attack-epsilon", epsilon)
    shows(page, "attack-g", *gradient.ravel())
    shows(page, "attack-delta", *delta)
    for name, at, of in (("", x, z), ("adversarial", x + delta, after)):
        loss = cross_entropy(of, [label])
        shows(page, f"attack-{name or 'loss'}", loss)
        shows(page, f"attack-p{name and '-' + name}", np.exp(-loss))
        pair = [logits(at, keep)[0] for keep in ([False, True, True], [True, False, True])]
        shows(page, f"attack-js{name and '-' + name}", js(np.stack(pair)))


def passes_of_the_reference(k: int) -> list[str]:
    """The order of forward and backward passes in a step of the reference, seen by watching it."""
    calls: list[str] = []
    module = importlib.import_module("uegr_ref.algorithm1")
    kept = module.forward, module.backward
    module.forward = lambda *a: calls.append("forward") or kept[0](*a)
    module.backward = lambda *a: calls.append("backward") or kept[1](*a)
    try:
        one = case(np.random.default_rng(0))
        module.train_step(start(one), one[1:], Settings(adversarial=k), np.random.default_rng(0))
    finally:
        module.forward, module.backward = kept
    return calls


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_walk_counts_passes_and_shows_shapes_as_the_reference_has_them(page, k):
    put(page, "walk-k", str(k))
    calls = passes_of_the_reference(k)
    assert calls == ["forward", "backward"] + ["forward"] * k + ["backward"] * k
    done = {3: 1, 4: 2, 5: 2, 6: 2 + k, 7: 2 + k, 8: 2 + k, 9: 2 + 2 * k, 10: 2 + 2 * k, 11: 2 + 2 * k}
    for line, count in done.items():
        now = page.run("document.querySelector('#walk-lines .now').firstChild.textContent")
        assert int(now) == line
        shows(page, "walk-forward", calls[:count].count("forward"))
        shows(page, "walk-backward", calls[:count].count("backward"))
        page.run("document.getElementById('walk-next').click()")
    one = case(np.random.default_rng(0))
    theta, x = one.parameters, embed(one.parameters, one.tokens)
    z, trace = forward(theta, x, one.mask)
    clean = backward(theta, trace, cross_entropy_grad(z, one.labels))
    norms = gradient_norm(clean.sites[0], one.mask).shape, gradient_norm(clean.sites[1]).shape
    flat = flatten(theta).shape
    shows(page, "walk-d", flat[0])
    wanted = {
        "x": x.shape, "z₀": z.shape, "L clean": None, "G": clean.vectors.shape, "n": norms, "δ": x.shape,
        "x′": x.shape, "q": norms, "z": (k, *z.shape), "L adv": None, "JS": None, "L": None, "g": flat,
        "s": flat, "s̃": flat, "p": flat, "m": flat, "θ": flat,
    }  # fmt: skip
    shown = dict(
        page.run(
            "[...document.querySelectorAll('[data-tensor]')].map(t => [t.dataset.tensor, t.textContent])"
        )
    )
    for name, shape in wanted.items():
        told = (
            "a number" if shape is None else " and ".join(map(str, shape)) if shape == norms else str(shape)
        )
        assert shown.pop(name) == told
    assert not shown


def first_case(test) -> dict[str, object]:
    """The first value of each parameter of a test."""
    found: dict[str, object] = {}
    for mark in test.pytestmark:
        names, cases = mark.args
        found |= {names: cases[0]} if isinstance(names, str) else dict(zip(names, cases[0], strict=True))
    return found


def test_every_number_of_the_page_is_compared(page):
    """By the tests above, which are called here, as `pytest -n` may have run them in another process."""
    CHECKED.clear()
    for test in (
        test_the_numbers_of_the_keep_probability,
        test_the_numbers_of_theorem_1,
        test_the_numbers_of_adaptive_dropout,
        test_the_numbers_of_the_attack,
        test_the_walk_counts_passes_and_shows_shapes_as_the_reference_has_them,
    ):
        page.open(PAGE)
        test(page, **first_case(test))
    assert set(page.run("[...document.querySelectorAll('output')].map(o => o.id)")) == CHECKED


def test_points_move_by_mouse_and_by_key_and_say_so(page):
    def middle(selector: str) -> list[float]:
        return page.run(
            f"(() => {{ const one = document.querySelector('{selector}');"
            "one.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const b = one.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )

    before = text(page, "keep-a")
    x, y = middle("#keep .handle")
    page.drag((x, y), (x - 100, y))
    dragged = text(page, "keep-a")
    assert float(dragged) < float(before) - 0.1
    page.press("ArrowRight")
    assert float(text(page, "keep-a")) == pytest.approx(float(dragged) + 0.01, abs=0.0051)
    x, y = middle("#dropout .handle")
    page.drag((x, y), (x, y - 60))
    assert page.run("Number(document.querySelector('#dropout .handle').getAttribute('aria-valuenow'))") > 1.5
    x, y = middle("#attack .handle")
    page.drag((x, y), (x - 40, y + 30))
    first, second = (value for value, _ in numbers(text(page, "attack-x")))
    assert first < 0.4
    assert second < 0.4


def test_all_controls_are_reached_by_tab_and_have_names(page):
    page.run("document.activeElement.blur()")
    controls, reached = "a, button, input, select, .handle", set()
    for _ in range(60):
        page.press("Tab")
        reached.add(page.run(f"[...document.querySelectorAll('{controls}')].indexOf(document.activeElement)"))
    disabled = page.run("document.querySelectorAll('button:disabled').length")
    everything = page.run(f"document.querySelectorAll('{controls}').length")
    assert len(reached - {-1}) == everything - disabled
    unnamed = page.run(
        "[...document.querySelectorAll('input, select, .handle, svg[role]')]"
        ".filter(e => !(e.labels?.[0]?.textContent.trim() || e.getAttribute('aria-label'))).length"
    )
    assert unnamed == 0
    page.run("document.querySelector('#walk-next').focus()")
    page.press("ArrowRight")
    assert page.run("document.querySelector('#walk-lines .now').firstChild.textContent") == "4"


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read_at_every_size_and_in_both_schemes(chromium, width, scheme):
    chromium.events.clear()
    chromium.open(PAGE, width, 800, scheme)
    chromium.run("document.querySelector('[data-draw=\"2000\"]').click()")
    assert chromium.run("document.documentElement.scrollWidth") == width
    sticking_out = chromium.run(
        "[...document.querySelectorAll('section')].flatMap(s => { const r = s.getBoundingClientRect().right;"
        "return [...s.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > r + 0.5)"
        ".map(e => e.tagName + ' ' + (e.id || e.textContent)); })"
    )
    assert sticking_out == []
    small = chromium.run(
        "Math.min(...[...document.querySelectorAll('p, dd, dt, td, th, label, svg text, li')]"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert small >= 11

    def luminance(variable: str) -> float:
        colour = chromium.run(
            f"getComputedStyle(document.documentElement).getPropertyValue('--{variable}')"
        ).strip()
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    assert (luminance("paper") < 0.1) == (scheme == "dark")
    for ink in ("ink", "quiet", "blue"):
        for ground in ("paper", "card"):
            light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def test_nothing_is_fetched_and_nothing_is_complained_of(page):
    page.run("document.getElementById('walk-play').click()")
    asked = [e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert len(asked) >= 5
    assert all(url.startswith((PAGE.parent.as_uri(), "data:")) for url in asked)
    complaints = [e for e in page.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
    assert complaints == []


def test_a_page_that_is_opened_again_is_waited_for_again():
    """The load event of the first time once let the second go on before its page was there."""

    class Told(browser.Browser):
        def __init__(self) -> None:
            self.events, self.waited = [{"method": "Page.loadEventFired"}], 0

        def call(self, method: str, **parameters: object) -> dict[str, dict[str, object]]:
            return {"result": {}}

        def _read(self) -> dict[str, object]:
            self.waited += 1
            return {"method": "Page.loadEventFired"}

    told = Told()
    told.open(PAGE)
    assert told.waited == 1
