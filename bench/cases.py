"""What is measured: an architecture of a given size under a recipe, on made-up texts of one length.

Word ids follow Zipf's law, so that a batch touches as many rows of the table as real text does. Texts have
no padding (bucketed batches have next to none), except for `han`, whose grid of sentences a real text fills
to about a third.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import cycle
from typing import TYPE_CHECKING, Any

from zoo.core.options import lookup
from zoo.recipes import RECIPES, Recipe
from zoo.settings import ModelSettings, TrainSettings

if TYPE_CHECKING:
    import numpy as np
    import torch

    from zoo.core.batch import Batch
    from zoo.method.step import Trainee
    from zoo.text import Split

# `targets`: the sizes in which the goals of docs/performance.md are set. `paper`: the lineage's (two layers).
SIZES = {
    "targets": ModelSettings(hidden=128, layers=1, filters=100, widths=(3, 4, 5)),
    "paper": ModelSettings(),
    "demo": ModelSettings(embedding=64, hidden=32, layers=1, filters=32, widths=(2, 3, 4), han_hidden=24),
}
TABLE_IV_ARCHS = ("textcnn", "bilstm", "texthan")
ZIPF = 1.05
HAN_SENTENCE = 10  # mean words of a sentence; its line of the grid has `words_per_sentence` places


@dataclass(frozen=True)
class Case:
    """One line of the benchmark."""

    arch: str
    recipe: str
    length: int  # words of a text; places of its grid for `han`
    batch: int = 16
    vocabulary: int = 30_000
    classes: int = 4
    sizes: str = "targets"
    changes: tuple[tuple[str, Any], ...] = ()  # fields of the recipe to change, e.g. (("sites", (...)),)

    @property
    def settings(self) -> Recipe:
        """The recipe with its changes."""
        return replace(lookup(RECIPES, self.recipe, "recipe"), **dict(self.changes))


def units(case: Case, shares_trunk: bool) -> int:
    """Forward-backward passes over the batch that the method itself needs (uegr.md: 1 + K)."""
    recipe = case.settings
    if recipe.step == "freelb":
        return recipe.ascent_steps
    further = recipe.attack_steps - 1 if recipe.adversarial else 0
    if shares_trunk:
        return 1 + (recipe.adversarial > 0) + further
    return recipe.clean + recipe.adversarial + further


class Feed:
    """Batches of the case's shape, a few in turn, with labels drawn anew: nothing here can be learnt, so
    gradients stay as large as they are early in training.
    """

    def __init__(self, case: Case, count: int = 8) -> None:
        import torch

        from zoo.text import batches

        by_sentence = SIZES[case.sizes].words_per_sentence if case.arch == "han" else 0
        split = make_split(case, count)
        made = batches(split, case.batch, seed=0, epoch=0, words_per_sentence=by_sentence)
        self.batches = cycle(list(made))
        self.classes, self.generator = case.classes, torch.Generator().manual_seed(0)

    def __call__(self) -> Batch:
        """The next one."""
        import torch

        batch = next(self.batches)
        batch.labels = torch.randint(0, self.classes, (len(batch),), generator=self.generator)
        return batch


def make_split(case: Case, count: int, seed: int = 0) -> Split:
    """`count` batches' worth of texts."""
    import numpy as np

    from zoo.text import Split

    rng = np.random.default_rng(seed)
    texts = count * case.batch
    starts = [_sentence_starts(case, rng) for _ in range(texts)]
    offsets = np.cumsum([0, *(len(s) for s in starts)])
    weights = np.arange(1, case.vocabulary - 1, dtype=float) ** -ZIPF
    ids = rng.choice(np.arange(2, case.vocabulary), int(offsets[-1]), p=weights / weights.sum())
    labels = rng.integers(0, case.classes, texts)
    return Split(ids.astype(np.int32), offsets.astype(np.int64), labels, np.concatenate(starts))


def _sentence_starts(case: Case, rng: np.random.Generator) -> np.ndarray:
    """True where a sentence starts; for `han` sentences of 1 .. 2 * HAN_SENTENCE - 1 words fill all lines."""
    import numpy as np

    if case.arch != "han":
        return np.arange(case.length) == 0
    lines = max(1, case.length // SIZES[case.sizes].words_per_sentence)
    lengths = rng.integers(1, 2 * HAN_SENTENCE, lines)
    return np.concatenate([np.arange(n) == 0 for n in lengths])


def make_trainee(
    case: Case, device: torch.device | str = "cpu", generator: torch.Generator | None = None
) -> tuple[Trainee, torch.optim.Optimizer]:
    """The zoo's model under the case's recipe, and its optimizer."""
    import torch

    from zoo.method.step import prepare
    from zoo.models import build_model
    from zoo.training.optim import make_optimizer

    model = build_model(case.arch, case.vocabulary, case.classes, SIZES[case.sizes], seed=0)
    model.train().to(device)
    return (
        prepare(model, case.settings, generator or torch.Generator(device).manual_seed(1)),
        make_optimizer(model, TrainSettings()),
    )


def make_straightforward(case: Case, mask: str = "sort") -> Any:
    """The slow twin of `bench/`, with random weights."""
    import torch

    from bench import straightforward as methods
    from bench import straightforward_models as models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.ARCHS[case.arch](case.vocabulary, case.classes, SIZES[case.sizes])
    sites = case.settings.sites or models.SITES[case.arch]
    model.train()
    return methods.Straightforward(model, case.settings, sites, mask)
