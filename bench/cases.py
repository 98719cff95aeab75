"""What is measured: an architecture of a given size under a recipe, on made-up texts of one length.

Word ids follow Zipf's law, so that a batch touches as many rows of the table as real text does. Texts have
no padding (bucketed batches have next to none), except for `han`, whose grid of sentences a real text fills
to about a third. All that the benchmark knows of recipes and sizes it asks here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from zoo.core.errors import UserError
from zoo.core.options import lookup, parse_setting
from zoo.settings import PRESETS

if TYPE_CHECKING:
    import numpy as np
    import torch

    from zoo.core.batch import Batch
    from zoo.core.records import Settings
    from zoo.method.recipe import Recipe
    from zoo.method.step import Trainee
    from zoo.text import Split

# By arch; what is absent is as in the paper's lineage. `targets`: the sizes in which the goals of
# docs/performance.md are set (one layer). `paper`: the lineage's (two layers).
_RECURRENT: dict[str, Any] = {"hidden": 128, "layers": 1}
SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "targets": {
        "bilstm": _RECURRENT, "texthan": _RECURRENT, "textcnn": {"filters": 100, "widths": (3, 4, 5)},
    },
    "paper": {},
    "demo": PRESETS["demo"]["model"],
}  # fmt: skip
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
    changes: tuple[tuple[str, Any], ...] = ()  # settings of the recipe to change, e.g. (("sites", (...)),)


def parse_change(text: str) -> tuple[str, Any]:
    """NAME=VALUE as a setting of a recipe and its value.

    Raises:
        UserError: no such setting, or no such value.
    """
    from zoo.recipes import recipe_fields

    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: expected NAME=VALUE")
    kind = lookup(recipe_fields(), key, "setting")
    return key, value if kind is None else parse_setting(kind, key, value)


def check(cases: Sequence[Case]) -> None:
    """Find out before anything is measured what cannot be.

    Raises:
        UserError: unknown name of an arch, a recipe, sizes or a site, or a value that the recipe refuses.
    """
    from zoo.method.contract import active_sites
    from zoo.models import build_model

    models = {case.arch: build_model(case.arch, 3, 2, sizes_of(case), seed=0) for case in cases}
    for case in cases:
        recipe = recipe_of(case)
        active_sites(models[case.arch], recipe.dropout.sites if recipe.dropout else ())


def recipe_of(case: Case) -> Recipe:
    """The recipe with its changes.

    Raises:
        UserError: unknown recipe, or a value that it refuses.
    """
    from zoo.recipes import RECIPES

    recipe: Recipe = lookup(RECIPES, case.recipe, "recipe")
    return recipe.changed(**dict(case.changes))


def settings_of(case: Case) -> SimpleNamespace:
    """All settings of the recipe by their names, and `forward`, the kind of its forward stage."""
    recipe = recipe_of(case)
    return SimpleNamespace(**recipe.flat(), forward=recipe.forward.kind)


def sizes_of(case: Case) -> Settings:
    """The record of the model's sizes."""
    from zoo.models import MODELS

    changes = lookup(SIZES, case.sizes, "sizes").get(case.arch, {})
    sizes: Settings = lookup(MODELS, case.arch, "arch").Sizes(**changes)
    return sizes


def line_of(case: Case) -> int:
    """Places of a sentence's line, for a model that reads by sentence; else 0."""
    return getattr(sizes_of(case), "words_per_sentence", 0)


def units(case: Case, shares_trunk: bool) -> int:
    """Forward-backward passes over the batch that the method itself needs (Algorithm 1: 1 + K)."""
    recipe, settings = recipe_of(case), settings_of(case)
    if not shares_trunk or settings.forward != "bi_stage":
        return recipe.passes
    further = settings.attack_steps - 1 if settings.adversarial else 0
    return 1 + (settings.adversarial > 0) + further


class Feed:
    """Batches of the case's shape, a few in turn, with labels drawn anew: nothing here can be learnt, so
    gradients stay as large as they are early in training.
    """

    def __init__(self, case: Case, count: int = 8) -> None:
        import torch

        self.batches = cycle(list(make_batches(case, count)))
        self.classes, self.generator = case.classes, torch.Generator().manual_seed(0)

    def __call__(self) -> Batch:
        """The next one."""
        import torch

        batch = next(self.batches)
        batch.labels = torch.randint(0, self.classes, (len(batch),), generator=self.generator)
        return batch


def make_batches(case: Case, count: int) -> Iterator[Batch]:
    """`count` batches, as an epoch makes them."""
    from zoo.text import batches

    split = make_split(case, count)
    return batches(split, case.batch, seed=0, epoch=0, words_per_sentence=line_of(case))


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
    """True where a sentence starts: once, or sentences of 1 .. 2 * HAN_SENTENCE - 1 words fill all lines."""
    import numpy as np

    line = line_of(case)
    if not line:
        return np.arange(case.length) == 0
    lengths = rng.integers(1, 2 * HAN_SENTENCE, max(1, case.length // line))
    return np.concatenate([np.arange(n) == 0 for n in lengths])


def make_trainee(
    case: Case, device: torch.device | str = "cpu", generator: torch.Generator | None = None
) -> tuple[Trainee, torch.optim.Optimizer]:
    """The zoo's model under the case's recipe, and its optimizer."""
    import torch

    from zoo.method.step import prepare
    from zoo.models import build_model
    from zoo.training.optim import make_optimizer
    from zoo.training.settings import TrainSettings

    model = build_model(case.arch, case.vocabulary, case.classes, sizes_of(case), seed=0)
    model.train().to(device)
    return (
        prepare(model, recipe_of(case), generator or torch.Generator(device).manual_seed(1)),
        make_optimizer(model, TrainSettings()),
    )


def make_straightforward(case: Case, mask: str = "sort") -> Any:
    """The slow twin of the whole step, with random weights."""
    import torch

    from bench import straightforward as methods
    from bench import straightforward_models as models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.ARCHS[case.arch](case.vocabulary, case.classes, sizes_of(case))
    model.train()
    settings = settings_of(case)
    sites = getattr(settings, "sites", ()) or models.SITES[case.arch]
    return methods.Straightforward(model, settings, sites, mask)
