"""The pictures of the tutorial: each a function from its variables to an SVG.

Text and axes take the page's own colour (`currentColor`), so that one picture serves light and dark. Nothing
is drawn that the variables do not hold.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from uegr_ref import cross_entropy, fgsm
from uegr_ref.model import embed, forward
from uegr_ref.stages import unflatten

INK = "#010203"  # stands for the page's colour
BLUE, WARM, GREEN = "#3f88c5", "#d8703a", "#4b9a5b"
Names: TypeAlias = Mapping[str, Any]
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "uegr", "font.family": "sans-serif", "font.size": 10,
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8, "axes.facecolor": "none",
    "figure.facecolor": "none", "savefig.facecolor": "none", "legend.frameon": False, "axes.titlesize": 10,
}  # fmt: skip


def drawn(name: str, panels: int, draw: Callable[..., None], height: float = 2.7) -> str:
    """An SVG with so many panels side by side, which `draw` fills."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, height), layout="constrained")
        draw(*np.atleast_1d(figure.subplots(1, panels)))
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([\w.-]+)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(
        r'(id="|#)(?=[mphci][0-9a-f]{8,})', rf"\1{name}-", text
    )  # ids are one page's, not one picture's
    return re.sub(r"\n\s*\n", "\n", text)


def attack(v: Names) -> str:
    """Words in the plane of the attack; the loss along the attack and along random signs."""
    text, vectors = 0, v["x"][0]
    words = [v["corpus"].words[i] for i in v["tokens"][text]]
    along = v["delta"][text][0] / np.linalg.norm(v["delta"][text][0])
    rest = vectors - np.outer(vectors @ along, along)
    across = np.linalg.svd(rest - rest.mean(axis=0))[2][0]
    sizes = np.linspace(0, 2 * v["epsilon"], 17)
    rng = np.random.default_rng(0)
    signs = [rng.choice([-1.0, 1.0], v["x"].shape) for _ in range(5)]

    def loss(shift: np.ndarray) -> float:
        return cross_entropy(forward(v["plain"], v["x"] + shift, v["mask"])[0], v["labels"])

    def draw(left: Any, right: Any) -> None:
        a, b = vectors @ along, vectors @ across
        shift = v["delta"][text] @ along
        left.scatter(a, b, s=14, color=BLUE, zorder=3)
        for i in range(len(words)):
            left.annotate(
                "", (a[i] + shift[i], b[i]), (a[i], b[i]), arrowprops={"arrowstyle": "->", "color": WARM}
            )
        for i in np.argsort(-np.abs(b))[:8]:
            left.annotate(words[i], (a[i], b[i]), (3, 4), textcoords="offset points", fontsize=8)
        left.margins(0.08, 0.14)
        left.set(xlabel="along the attack", ylabel="across", title="one text: where its words go")
        right.plot(sizes, [loss(fgsm(v["G"], size, v["mask"])) for size in sizes], color=WARM, label="FGSM")
        for k, sign in enumerate(signs):
            label = "random signs, same size" if k == 0 else None
            right.plot(sizes, [loss(size * sign) for size in sizes], color=BLUE, lw=1, label=label)
        right.axvline(v["epsilon"], color=INK, lw=0.8, ls=":")
        right.set(
            xlabel="size of the change of each coordinate",
            ylabel="loss, nats",
            title="the batch: what it does",
        )
        right.legend()

    return drawn("attack", 2, draw)


def rates(v: Names) -> str:
    """Drop rates against gradient norms, at either site."""

    def draw(*panels: Any) -> None:
        for panel, norms, found, title in zip(
            panels, v["norms"], v["rates"], ("word vectors", "hidden layer"), strict=True
        ):
            panel.scatter(norms, found, s=18, color=BLUE, zorder=3)
            panel.axhline(found.mean(), color=WARM, ls="--", lw=1)
            panel.set(
                xlabel="norm of the unit's gradient",
                ylabel="drop rate",
                title=title,
                ylim=(0, None),
                xlim=(0, None),
            )
            panel.ticklabel_format(axis="x", scilimits=(-2, 2))

    return drawn("rates", 2, draw)


def agreement(v: Names) -> str:
    """The probability of the true class under two sub-models, and how far apart these are."""
    z = v["adversarial"]
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    p = (p / p.sum(axis=-1, keepdims=True))[:, np.arange(z.shape[1]), v["labels"]]
    both = np.exp(z - z.max(axis=-1, keepdims=True))
    both /= both.sum(axis=-1, keepdims=True)
    middle = both.mean(axis=0)
    apart = np.mean(np.sum(both * np.log(both / middle), axis=-1), axis=0)

    def draw(left: Any, right: Any) -> None:
        left.plot([0, 1], [0, 1], color=INK, lw=0.6, ls=":")
        left.scatter(p[0], p[1], s=18, color=BLUE, zorder=3)
        left.set(
            xlabel="sub-model 1", ylabel="sub-model 2", title="probability of the true class", aspect="equal"
        )
        right.bar(np.arange(len(apart)), np.sort(apart)[::-1], color=WARM, width=0.8)
        right.axhline(apart.mean(), color=INK, lw=0.8, ls="--")
        right.set(xlabel="texts, by divergence", ylabel="JS, nats", title="how far apart, text by text")

    return drawn("agreement", 2, draw)


def keep(v: Names) -> str:
    """From saliency to rank to keep probability."""
    s, ranks, p = (v[name][v["moved"]] for name in ("s", "ranks", "p"))
    order = np.argsort(s)[:: max(1, len(s) // 400)]

    def draw(first: Any, second: Any, third: Any) -> None:
        first.hist(np.log10(s), bins=40, color=BLUE)
        first.set(xlabel="log10 of the saliency", ylabel="entries", title="saliency")
        second.plot(np.log10(s[order]), ranks[order], color=BLUE)
        second.set(xlabel="log10 of the saliency", ylabel="rank", title="its rank")
        third.plot(ranks[order], p[order], color=WARM)
        third.axhline(p.mean(), color=INK, lw=0.8, ls="--")
        third.plot([0.6, 0.6, 0], [0, 0.5, 0.5], color=INK, lw=0.6, ls=":")
        third.set(xlabel="rank", ylabel="p", title="keep probability", ylim=(0, 1), xlim=(0, 1))

    return drawn("keep", 3, draw)


def mask(v: Names) -> str:
    """The gradient of one matrix, the mask over it, and what is left."""
    g, m, p = (unflatten(v[name], v["plain"])["hidden_weight"] for name in ("g", "m", "p"))
    size = np.percentile(np.abs(g), 97)

    def draw(*panels: Any) -> None:
        shown = (g, m, np.where(m, g / p, 0))
        titles = ("gradient g", "mask m", "m g / p")
        for panel, values, title in zip(panels, shown, titles, strict=True):
            colours = (
                {"cmap": "Greys", "vmin": 0, "vmax": 1}
                if values is m
                else {"cmap": "RdBu", "vmin": -size, "vmax": size}
            )
            panel.imshow(values, interpolation="nearest", **colours)
            panel.set(title=title, xticks=[], yticks=[])

    return drawn("mask", 3, draw)


def surface(v: Names) -> str:
    """The loss around two networks, along two random directions."""
    tokens, mask, labels = (part[:160] for part in v["test"])
    rng = np.random.default_rng(0)
    directions = [{name: rng.standard_normal(w.shape) for name, w in v["plain"].items()} for _ in range(2)]
    steps = np.linspace(-1, 1, 17)

    def losses(theta: Mapping[str, np.ndarray]) -> np.ndarray:
        def at(a: float, b: float) -> float:
            moved = {}
            for name, w in theta.items():
                size = np.sqrt(np.mean(w * w))
                moved[name] = w + size * (a * directions[0][name] + b * directions[1][name])
            return cross_entropy(forward(moved, embed(moved, tokens), mask)[0], labels)

        return np.array([[at(a, b) for a in steps] for b in steps])

    grids = [losses(v[name]) for name in ("theta", "plain", "uegr")]
    levels = np.linspace(0, min(3.5, max(g.max() for g in grids)), 15)

    def draw(*panels: Any) -> None:
        for panel, grid, title in zip(panels, grids, ("before training", "plain", "UEGR"), strict=True):
            panel.contourf(steps, steps, grid, levels=levels, cmap="viridis_r", extend="max")
            panel.set(
                title=f"{title}: {grid[8, 8]:.2f} in the middle",
                xticks=[-1, 0, 1],
                yticks=[-1, 0, 1],
                aspect="equal",
            )

    return drawn("surface", 3, draw, 3.0)


PICTURES: dict[str, Callable[[Names], str]] = {
    "attack": attack, "rates": rates, "agreement": agreement, "keep": keep, "mask": mask, "surface": surface,
}  # fmt: skip
