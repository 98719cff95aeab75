"""Train the small classifier with and without UEGR, on the package's own text: `python -m uegr_ref`."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .algorithm1 import Report, algorithm1
from .losses import cross_entropy_grad
from .model import backward, embed, forward, initialise, predict
from .perturb import fgsm, relative_epsilon
from .settings import Settings
from .stages import Batch
from .support.checks import Floats, Parameters
from .support.console import Parser, Table, whole
from .support.console import run as run_command
from .support.grammar import GRAMMARS, LABELS, Corpus, corpora

TRAIN, TEST = 600, 1000
WIDTH = 80  # of what is printed
BATCH_SIZE = 20
DIMENSIONS = HIDDEN = 24
TEST_EPSILON = 0.1  # of the attack on the trained model, as a share of the embedding's RMS
COMMON: dict[str, Any] = {"learning_rate": 0.02, "base_rates": (0.1,)}
METHODS = {
    "plain": Settings(adversarial=0, dropout="uniform", update="all", **COMMON),
    "uegr": Settings(**COMMON),
}
TITLES = {"plain": "plain training, ordinary dropout", "uegr": "UEGR, all of Algorithm 1"}


def batches(corpus: Corpus, epochs: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Shuffled mini-batches, cut to their longest text."""
    for _ in range(epochs):
        order = rng.permutation(len(corpus.labels))
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            longest = int(corpus.mask[rows].sum(axis=1).max())
            yield corpus.tokens[rows, :longest], corpus.mask[rows, :longest], corpus.labels[rows]


def accuracy(parameters: Parameters, corpus: Corpus) -> float:
    """Share of texts classified as labelled."""
    return float(np.mean(predict(parameters, corpus.tokens, corpus.mask) == corpus.labels))


def attacked_accuracy(parameters: Parameters, corpus: Corpus, epsilon: float) -> float:
    """The same after an fgsm step against the trained model, without dropout; epsilon relative to the RMS."""
    x = embed(parameters, corpus.tokens)
    logits, trace = forward(parameters, x, corpus.mask)
    gradient = backward(parameters, trace, cross_entropy_grad(logits, corpus.labels)).vectors
    x_adv = x + fgsm(gradient, relative_epsilon(x, epsilon, corpus.mask), corpus.mask)
    logits, _ = forward(parameters, x_adv, corpus.mask)
    return float(np.mean(np.argmax(logits, axis=1) == corpus.labels))


def epoch_row(epoch: int, reports: list[Report], has_adversarial: bool) -> dict[str, Any]:
    """Means over the steps of an epoch; the spread of drop rates is that of the last step."""

    def mean(name: str) -> float:
        return float(np.mean([getattr(report, name) for report in reports]))

    def spread(rates: Floats) -> dict[str, float]:
        return {"least": float(rates.min()), "mean": float(rates.mean()), "most": float(rates.max())}

    return {
        "epoch": epoch,
        "loss_clean": mean("loss_clean"),
        "loss_adversarial": mean("loss_adversarial") if has_adversarial else None,
        "divergence": mean("divergence") if has_adversarial else None,
        "loss": mean("loss"),
        "kept_share": mean("kept_share"),
        "drop_rate": {site: spread(q) for site, q in reports[-1].drop_rate.items()},
    }


def run(language: str, method: str, epochs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Train one model; yield a row an epoch. The methods share corpus, initial weights and batches."""
    (train, test), words = corpora(language, (TRAIN, TEST), np.random.default_rng([seed, 0]))
    parameters = initialise(len(words), DIMENSIONS, HIDDEN, len(LABELS), np.random.default_rng([seed, 1]))
    per_epoch = -(-TRAIN // BATCH_SIZE)
    settings = METHODS[method]._replace(steps=epochs * per_epoch)
    reports: list[Report] = []
    stream = batches(train, epochs, np.random.default_rng([seed, 2]))
    for state, report in algorithm1(parameters, stream, settings, np.random.default_rng([seed, 3])):
        reports.append(report)
        if len(reports) == per_epoch:
            row = epoch_row(state.step // per_epoch, reports, settings.adversarial > 0)
            row["train_accuracy"] = accuracy(state.parameters, train)
            row["test_accuracy"] = accuracy(state.parameters, test)
            row["attacked_accuracy"] = attacked_accuracy(state.parameters, test, TEST_EPSILON)
            reports = []
            yield row


def lines(result: dict[str, Any], languages: list[str], epochs: int, seed: int) -> Iterator[str]:
    """Train everything into `result`, and yield what is printed as it comes."""
    yield f"""UEGR in NumPy: a small classifier of hotel reviews, trained with and without it

   L_clean, L_adv, JS   terms of the loss (6) in nats, means over the epoch
   kept                 share of the gradient's entries that the mask (9) keeps
   train, test          accuracy
   attacked             accuracy on test reviews after an fgsm step of {TEST_EPSILON:g} RMS"""
    table = Table(
        *(("epoch", 5, "d"), ("L_clean", 7, ".4f"), ("L_adv", 7, ".4f"), ("JS", 7, ".5f"), ("L", 7, ".4f")),
        *(("kept", 6, ".1%"), ("train", 6, ".1%"), ("test", 6, ".1%"), ("attacked", 8, ".1%")),
    )
    runs = result["runs"] = []
    for language in languages:
        (train, _), words = corpora(language, (TRAIN, TEST), np.random.default_rng([seed, 0]))
        yield f"\n{language}: {TRAIN} reviews to train on, {TEST} to test on, {len(words)} words. The first:"
        first = f"{train.texts[0]} ({LABELS[int(train.labels[0])]})"
        yield textwrap.fill(first, WIDTH, initial_indent="   ", subsequent_indent="   ")
        for method in METHODS:
            yield f"\n{TITLES[method]}\n{table.head()}"
            rows = []
            for row in run(language, method, epochs, seed):
                rows.append(row)
                yield table.row(*(value for name, value in row.items() if name != "drop_rate"))
            settings = METHODS[method]._asdict()
            runs.append({"language": language, "method": method, "settings": settings, "epochs": rows})
    yield """
After the last epoch: accuracy on the test reviews, and under attack; q: least
and largest drop probability of a unit, at the two dropout sites"""
    last = Table(
        *(("corpus", 8, "s"), ("method", 6, "s"), ("test", 6, ".1%"), ("attacked", 8, ".1%")),
        *(("q embedded", 10, ">s"), ("q hidden", 9, ">s")),
    )
    yield last.head()
    for one in runs:
        row = one["epochs"][-1]
        dropped = [f"{q['least']:.2f}-{q['most']:.2f}" for q in row["drop_rate"].values()]
        yield last.row(
            one["language"], one["method"], row["test_accuracy"], row["attacked_accuracy"], *dropped
        )


def main(arguments: list[str] | None = None) -> int:
    """Print the training, or one JSON object of the same numbers."""
    parser = Parser(prog="python -m uegr_ref", description=(__doc__ or "").split(": `")[0] + ".")
    parser.add_argument("--language", choices=tuple(GRAMMARS), nargs="+", default=list(GRAMMARS))
    parser.add_argument(
        "--epochs", type=whole(1), default=8, help="passes over the training reviews (default 8)"
    )
    parser.add_argument(
        "--seed", type=whole(0), default=0, help="of corpus, weights, batches and masks (default 0)"
    )
    parser.add_argument("--json", action="store_true", help="print the same as one JSON object")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    result: dict[str, Any] = {"seed": options.seed, "epochs": options.epochs}
    for line in lines(result, options.language, options.epochs, options.seed):
        if not options.json:
            print(line, flush=True)
    result["seconds"] = round(time.perf_counter() - start, 2)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        print(f"\n{result['seconds']:.1f} s, seed {options.seed}.")
    return 0


if __name__ == "__main__":
    run_command(main)
