"""Nothing in silence: what is not the whole method says so, what cannot be is refused, draws are fair."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import tiny
from zoo.core.batch import Batch
from zoo.core.errors import UserError
from zoo.method.backward.selective import LEAST_PROBABILITY, Selective, SelectiveUpdate
from zoo.method.contract import selected_parameters
from zoo.method.dropout import AdaptiveDropout
from zoo.method.forward.attack import attack as find_delta
from zoo.method.forward.attack import perturbation, project
from zoo.method.forward.bi_stage import BiStage
from zoo.method.rates import drop_rates, root, uniform
from zoo.method.step import prepare, train_step
from zoo.models.texthan import TextHAN
from zoo.recipes import RECIPES


class Bag(nn.Module):
    """A user's own module with a part that is called like one of ours."""

    def __init__(self, drop: nn.Module | None, out: str = "classifier") -> None:
        super().__init__()
        self.words = nn.Embedding(tiny.WORDS, 6)
        self.trunk = nn.Identity()  # not what a `trunk` of ours is
        self.drop = drop or nn.Identity()
        setattr(self, out, nn.Linear(6, tiny.CLASSES))
        self.out = out

    def embed(self, tokens: Tensor) -> Tensor:
        return self.words(tokens)

    def classify(self, vectors: Tensor, mask: Tensor) -> Tensor:
        return getattr(self, self.out)(self.drop((vectors * mask[:, :, None]).sum(1)))


def test_an_attribute_named_trunk_means_nothing() -> None:
    """Its K passes have masks of their own, so they diverge."""
    trainee = prepare(Bag(AdaptiveDropout(6)).train(), RECIPES["uegr"], torch.Generator().manual_seed(0))
    record = trainee.forward.gradients(trainee, tiny.batch())
    assert float(record["divergence"]) > 1e-6
    assert not torch.equal(record["logits"][0], record["logits"][1])


def test_the_encoder_is_all_but_the_words_and_the_classifier() -> None:
    model = tiny.model("texthan")
    chosen = selected_parameters(model, "encoder")
    assert isinstance(model, TextHAN)
    left_out = {*model.embedding.parameters(), *model.classifier.parameters()}
    assert {id(p) for p in model.parameters()} - {id(p) for p in chosen} == {id(p) for p in left_out}
    with pytest.raises(UserError, match="a module `classifier`"):
        selected_parameters(Bag(None, out="top"), "encoder")


def test_the_update_of_the_encoder_leaves_the_rest_alone() -> None:
    """With next to nothing kept, words and classifier have their whole gradient, all else has none."""
    model = tiny.model("texthan").train()
    recipe = RECIPES["uegr"].changed(update_scope="encoder", keep="constant", keep_constant=1e-9)
    trainee = prepare(model, recipe, torch.Generator().manual_seed(0))
    trainee.forward.gradients(trainee, tiny.batch())
    before = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    trainee.backward.apply(trainee.touched())
    for name, parameter in model.named_parameters():
        outside = name.startswith(("embedding", "classifier"))
        wanted = before[name] if outside else torch.zeros_like(before[name])
        assert torch.equal(parameter.grad, wanted), name


@pytest.mark.parametrize(
    ("drop", "recipe", "said"),
    [
        (
            nn.Dropout(0.1),
            "uegr",
            "dropout=mean: Bag has no AdaptiveDropout, so its 1 ordinary dropout modules",
        ),
        (None, "dropout", "dropout=uniform: Bag has no AdaptiveDropout, so nothing is dropped"),
        (None, "r_drop", "divergence=sym_kl: without dropout all passes of Bag are the same"),
        (nn.Dropout(0.1), "standard", "dropout=none: Bag has 1 ordinary dropout modules, which go on"),
    ],
)
def test_a_part_that_does_nothing_is_named(drop: nn.Module | None, recipe: str, said: str) -> None:
    with pytest.warns(UserWarning, match="dropout|divergence") as caught:
        prepare(Bag(drop), RECIPES[recipe])
    assert any(said in str(warning.message) for warning in caught)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_zoos_own_models_have_all_parts(arch: str, recipe: str) -> None:
    prepare(tiny.model(arch), RECIPES[recipe])  # a warning is an error here


def test_a_site_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(UserError, match=r"sites=poled: TextCNN has no such site; .*did you mean 'pooled'"):
        prepare(tiny.model("textcnn"), RECIPES["uegr"].changed(sites=("poled",)))
    with pytest.raises(UserError, match="the model has no site"):
        prepare(Bag(None), RECIPES["uegr"].changed(sites=("pooled",)))


def test_a_step_refuses_what_does_not_fit() -> None:
    model = tiny.model("textcnn").train()
    trainee, good = prepare(model, RECIPES["standard"]), tiny.batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for wrong in (
        Batch(good.tokens, good.mask, good.labels[:3], good.index),
        Batch(good.tokens, good.mask[:, :2], good.labels, good.index),
        Batch(good.tokens, good.mask, good.labels[:, None], good.index),
    ):
        with pytest.raises(UserError, match=r"batch: tokens .* expected \(B, T\), \(B, T\) and \(B,\)"):
            train_step(trainee, wrong, optimizer)
    model.eval()
    with pytest.raises(UserError, match="in evaluation mode"):
        train_step(trainee, good, optimizer)


@pytest.mark.parametrize(
    "call",
    [
        lambda: AdaptiveDropout(0), lambda: AdaptiveDropout(3, rate=2), lambda: AdaptiveDropout(3, rate=-0.1),
        lambda: AdaptiveDropout(3, kind="men"), lambda: AdaptiveDropout(3, gamma=-1),
        lambda: AdaptiveDropout(3, rate=0.97), lambda: AdaptiveDropout(3, decay=2),
        lambda: AdaptiveDropout(3, q_max=1.0), lambda: Selective(keep_constant=3),
        lambda: Selective(saliency="foo"), lambda: drop_rates(torch.ones(3), torch.tensor([0.2]), "men"),
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_one_line(call) -> None:
    with pytest.raises(UserError, match="expected") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_per_sample_saliency_needs_its_squares() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.ones(3)
    with pytest.raises(ValueError, match="saliency=per_sample: expected squares"):
        SelectiveUpdate([parameter], Selective(saliency="per_sample")).apply()
    with pytest.raises(ValueError, match="saliency=batch: expected no squares"):
        SelectiveUpdate([parameter]).apply(squares=[torch.ones(3)])


@pytest.mark.parametrize("adversarial", [0, 2])
def test_further_passes_leave_the_statistics_alone(adversarial: int) -> None:
    """The backward passes of single examples are no observations: the statistic is what it is without."""
    averages = []
    for saliency in ("batch", "per_sample"):
        model = tiny.model("textcnn").train()
        trainee = prepare(
            model,
            RECIPES["uegr"].changed(saliency=saliency, adversarial=adversarial),
            torch.Generator().manual_seed(2),
        )
        trainee.forward.gradients(trainee, tiny.batch())
        averages.append(trainee.sites.active["pooled"].average.clone())
        seen = trainee.sites.watches["pooled"]
        assert seen.before is None, "one observation a step"
    torch.testing.assert_close(*averages)


@pytest.mark.parametrize("scope", ["example", "token", "batch", "table"])
@pytest.mark.parametrize("steps", [2, 5])
def test_pgd_climbs_to_the_border_of_the_ball_of_its_scope(scope: str, steps: int) -> None:
    """On a linear loss every step goes the same way, so PGD ends where one step of epsilon does."""
    generator = torch.Generator().manual_seed(0)
    batch = tiny.batch((4, 2, 5))
    batch.tokens[1, 0] = batch.tokens[0, 0]  # a word that stands twice
    vectors = torch.randn(*batch.tokens.shape, 3, generator=generator, dtype=torch.float64)
    by_word = torch.randn(tiny.WORDS, 3, generator=generator, dtype=torch.float64)
    gradient = by_word[batch.tokens] * batch.mask[:, :, None]
    settings = BiStage(adversarial=1, attack="fgm", attack_scope=scope, epsilon=0.7, epsilon_unit="absolute",
                       attack_steps=steps)  # fmt: skip
    once = perturbation(gradient, batch.mask, 0.7, "fgm", scope, batch.tokens)
    climbed = find_delta(settings, vectors, gradient, batch, lambda _: gradient)
    torch.testing.assert_close(climbed, once, rtol=0, atol=1e-12)
    torch.testing.assert_close(project(3 * once, 0.7, "fgm", scope, batch.tokens), once, rtol=0, atol=1e-12)
    torch.testing.assert_close(project(0.3 * once, 0.7, "fgm", scope, batch.tokens), 0.3 * once)


def test_an_unknown_attack_is_refused_and_a_mask_may_be_of_whole_numbers() -> None:
    """`uegr.perturbation` is for everybody's loops; Hugging Face's masks are int64."""
    gradient, mask = torch.randn(2, 3, 4), torch.tensor([[1, 1, 1], [1, 1, 0]])
    for wrong in ({"attack": "FGSM"}, {"attack": "pgd"}, {"attack": "fgm", "scope": "text"}):
        with pytest.raises(UserError, match=r"attack '.*', scope '.*': expected one of"):
            perturbation(gradient, mask.bool(), 0.1, **wrong)
    gradient[0] = 0
    for attack in ("fgsm", "fgm", "token_linf"):
        whole, expected = (perturbation(gradient, own, 0.1, attack) for own in (mask, mask.bool()))
        assert torch.equal(whole, expected), attack


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("p", [0.3, 0.01, 1e-3])
def test_masks_are_fair_in_every_type(kind: torch.dtype, p: float) -> None:
    """E[m / p] = 1. Kept counts are binomial; 5.5 standard errors: a false alarm in 1 of 2.6e7 tests."""
    n = 2_000_000
    parameter = nn.Parameter(torch.zeros(n, dtype=kind))
    parameter.grad = torch.ones(n, dtype=kind)
    update = SelectiveUpdate(
        [parameter], Selective(keep="constant", keep_constant=p), torch.Generator().manual_seed(0)
    )
    kept = float(update.apply()["kept_share"])
    assert abs(kept - p) < 5.5 * math.sqrt(p * (1 - p) / n)
    numbers = uniform((n,), parameter, torch.Generator().manual_seed(1))
    assert abs(float((numbers < p).double().mean()) - p) < 5.5 * math.sqrt(p * (1 - p) / n)


def test_small_probabilities_are_drawn_in_double_precision() -> None:
    """Single precision knows no number between 0 and 6e-8: P(u < 1e-8) would be 6 times too large."""
    steep = Selective(threshold=0.9, sharpness=10.0)
    assert steep.least_probability == pytest.approx(1 / (1 + math.exp(18)))
    assert SelectiveUpdate([], steep).uniform(torch.zeros(4)).dtype == torch.float64
    assert SelectiveUpdate([], Selective()).uniform(torch.zeros(4)).dtype == torch.float32
    floored = Selective(threshold=1.0, sharpness=40.0)
    p = floored.probabilities(torch.arange(5.0), [5])
    assert float(p.min()) == pytest.approx(LEAST_PROBABILITY)
    assert floored.least_probability == LEAST_PROBABILITY


def test_a_generator_that_nobody_gave_is_decided_by_the_seed_of_torch() -> None:
    """Masks come from the trainee's own stream and leave torch's alone."""
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        model = tiny.model("textcnn").train()
        trainee = prepare(model, RECIPES["uegr"])
        state = torch.get_rng_state()
        train_step(trainee, tiny.batch(), torch.optim.SGD(model.parameters(), lr=0.1))
        assert torch.equal(torch.get_rng_state(), state)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*weights)


def test_a_root_is_that_of_numpy_and_whole_numbers_are_not_cut_off() -> None:
    for kind in (torch.int64, torch.float16, torch.float32, torch.float64):
        x = torch.tensor([0, 2, 24, 2**10], dtype=kind)
        wanted = torch.tensor([math.sqrt(v) for v in x.tolist()], dtype=torch.float64)
        found = root(x)
        assert found.dtype == (kind if kind.is_floating_point else torch.float64)
        # A processor's root in float64 may be off in the last bit; what is rounded to less is exact.
        last = torch.finfo(torch.float64).eps if found.dtype == torch.float64 else 0.0
        torch.testing.assert_close(found, wanted.to(found.dtype), rtol=last, atol=0.0)
