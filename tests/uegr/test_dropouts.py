"""Dropout modules of all kinds: which become sites, and what each of their calls gets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import uegr
from toys import Toy, adamw, batch, same, toy, train
from zoo.core.errors import UserError


class Odd(Toy):
    """A module called with two widths, a time-major one, one of four dimensions, one without the batch."""

    def __init__(self, rate: float = 0.3) -> None:
        super().__init__(rate)
        self.attention, self.places, self.never = nn.Dropout(0.2), nn.Dropout(0.2), nn.Dropout(0.2)
        self.lines = nn.Dropout(0.2)

    def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.inner(self.early(x)).tanh()
        h = self.early(h) * self.places(torch.ones(x.shape[1], 6).to(x))
        h = self.lines(h.transpose(0, 1)).transpose(0, 1)
        h = self.attention(h[:, None])[:, 0]
        return self.last(self.late(h.mean(1)))


def odd(seed: int = 0, **options: Any) -> Odd:
    torch.manual_seed(seed)
    return Odd(**options).double()


def test_each_call_is_a_site_of_its_own_and_the_rest_says_why_it_is_none() -> None:
    model = odd()
    method = uegr.attach(model, adamw(model), "uegr")
    train(method, range(2))
    sites = method.sites.active
    assert {name: site.units for name, site in sites.items()} == {
        "early": 8,
        "early#2": 6,
        "lines": 6,
        "late": 6,
    }
    assert all(bool((site.average > 0).any()) for site in sites.values())
    assert set(method.sites.skipped) == {"attention", "places"}
    assert "4 dimensions" in method.sites.skipped["attention"]
    assert "(7, 6)" in method.sites.skipped["places"]
    text = method.describe()
    assert "4 sites: early, early#2, lines, late" in " ".join(text.split())
    assert "Not called as modules: never" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    rates = {name: float(value) for name, value in method.record.items() if name.startswith("drop_rate/")}
    assert rates == pytest.approx({f"drop_rate/{n}": 0.2 if n == "lines" else 0.3 for n in sites})


def test_two_widths_of_one_call_are_two_sites() -> None:
    class Turns(Toy):
        turn = 0

        def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
            h = self.inner(x).mean(1)
            self.late(h if self.turn == 0 else torch.cat([h, h], 1))
            return self.last(h)

    model = Turns().double()
    method = uegr.attach(model, adamw(model), "uegr")
    for turn in (0, 1, 0):
        model.turn = turn
        method.backward(batch())
    assert {name: site.units for name, site in method.sites.active.items()} == {"late": 6, "late@12": 12}


class Kept(Toy):
    """Keeps the share of each pass of four texts that is dropped."""

    shares: list[float]

    def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
        h = torch.ones(len(x), 6).to(x) + 0 * x.sum()
        self.shares += self.late(h).view(-1, 4 * 6).eq(0).double().mean(1).tolist()
        return self.last(h)


@pytest.mark.parametrize("at_once", [True, False, 2])
def test_each_pass_has_its_own_rate_however_many_come_at_once(at_once: bool | int) -> None:
    torch.manual_seed(0)
    model = Kept().double()
    recipe = uegr.recipe("uegr", adversarial=3, dropout="uniform")
    method = uegr.attach(model, adamw(model), recipe, base_rates=(0.0, 0.9, 0.0, 0.9), passes_at_once=at_once)
    for _ in range(2):
        model.shares = []
        method.backward(batch())
        _, *passes = model.shares
        assert [share > 0.5 for share in model.shares[:4]] == [False, True, False, True]
        assert passes[3:] == ([] if at_once is True else passes[:3])  # once more, on the same masks


@pytest.mark.filterwarnings("ignore:.*the divergence is 0")
@pytest.mark.parametrize("at_once", [False, 2])
def test_passes_one_after_the_other_are_the_same_without_dropout(at_once: bool | int) -> None:
    both = [toy(rate=0.0), toy(rate=0.0)]
    recipe = uegr.recipe("r_at_su", adversarial=3)
    for model, how in zip(both, (True, at_once), strict=True):
        train(uegr.attach(model, adamw(model), recipe, passes_at_once=how, seed=1), range(3))
    assert same(*both, within=1e-12)


class Checked(Toy):
    def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = checkpoint(super().vectors_to_logits, x, mask, use_reentrant=False)
        return found


class CheckedWhole(Toy):
    """Its embedding too."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return checkpoint(super().forward, input_ids, attention_mask, use_reentrant=False)


class CheckedTwice(Toy):
    def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
        h: Tensor = checkpoint(lambda x: self.late(self.late(self.inner(x))), x, use_reentrant=False)
        return self.last(h.mean(1))


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("rates", [None, (0.1, 0.2, 0.3)])
def test_gradient_checkpointing_changes_nothing(at_once: bool, rates: tuple[float, ...] | None) -> None:
    models = []
    for kind in (Toy, Checked, CheckedWhole):
        torch.manual_seed(0)
        model = kind().double()
        method = uegr.attach(model, adamw(model), "uegr", passes_at_once=at_once, base_rates=rates)
        torch.manual_seed(5)
        train(method, range(3))
        models.append(model)
    assert same(models[0], models[1])
    assert same(models[0], models[2])


def test_a_repeated_pass_whose_order_is_not_known_is_refused() -> None:
    model = CheckedTwice().double()
    method = uegr.attach(model, adamw(model), "uegr")
    with pytest.raises(UserError, match=r"dropout late: several calls .* checkpointing"):
        method.backward(batch())


def test_a_rate_that_changes_is_heeded() -> None:
    """As that of a schedule, also after a state of the time before."""
    model = toy()
    method = uegr.attach(model, adamw(model), "uegr")
    train(method, range(2))
    state = method.state_dict()
    model.late.p = 0.6
    for _ in range(2):
        method.backward(batch(2))
        assert float(method.record["drop_rate/early"]) == pytest.approx(0.3)
        assert float(method.record["drop_rate/late"]) == pytest.approx(0.6)
        method.load_state_dict(state)
    model.late.p = 0.99
    with pytest.raises(UserError, match=r"^dropout late: p=0.99; expected q_min=0.0 to q_max=0.95"):
        method.backward(batch(2))


def test_a_scaled_loss_leaves_the_same_statistics() -> None:
    averages = []
    for scale in (None, lambda loss: 1024 * loss):
        model = toy()
        method = uegr.attach(model, adamw(model), "uegr")
        torch.manual_seed(5)
        method.backward(batch(), scale)
        averages.append(method.sites.active["late"].average)
    assert torch.equal(*averages)
    assert bool(averages[0].any())


def test_freelb_draws_one_mask_for_all_its_steps() -> None:
    """That of ordinary dropout too."""
    torch.manual_seed(0)

    class Seen(Toy):
        def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
            self.masks = [*getattr(self, "masks", []), self.late(torch.ones(len(x), 6))]
            return super().vectors_to_logits(x, mask)

    for rates in (None, (0.4,)):
        model = Seen().double()
        method = uegr.attach(model, adamw(model), uegr.recipe("freelb", ascent_steps=3), base_rates=rates)
        method.backward(batch())
        first, *others = model.masks
        assert len(others) == 2
        assert all(torch.equal(first, other) for other in others)
        model.masks = []
        method.backward(batch())
        assert not torch.equal(first, model.masks[0])


class Functional(Toy):
    """Drops without a module, as attention may."""

    def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().vectors_to_logits(F.dropout(x, 0.5), mask)


class Dropping(Toy):
    """With one module that drops in the place of two."""

    def __init__(self, drop: nn.Module) -> None:
        super().__init__()
        del self.early, self.late
        self.drop = drop

    def vectors_to_logits(self, x: Tensor, mask: Tensor) -> Tensor:
        h = self.drop(self.inner(x).tanh())
        h = h[0] if isinstance(h, tuple) else h
        return self.last(h.mean(1))


class Unused(nn.Dropout):
    def forward(self, h: Tensor) -> Tensor:
        return F.dropout(h, self.p, self.training)

    def __call__(self, h: Tensor) -> Tensor:
        return self.forward(h)  # its hooks hear of no call


IN_ANOTHER_WAY = {
    "between layers of an LSTM": (
        nn.LSTM(6, 6, 2, dropout=0.3, batch_first=True),
        "drop: LSTM, no nn.Dropout",
    ),
    "whole channels": (nn.Dropout1d(0.3), "drop: Dropout1d, no nn.Dropout"),
    "to another value": (nn.AlphaDropout(0.3), "drop: AlphaDropout, no nn.Dropout"),
    "as a function": (Unused(0.3), "Not called as modules: drop"),
}


@pytest.mark.parametrize("case", IN_ANOTHER_WAY)
def test_a_model_without_a_site_is_told_so_once(case: str) -> None:
    drop, what = IN_ANOTHER_WAY[case]
    model = Dropping(drop).double()
    method = uegr.attach(model, adamw(model), "uegr")
    with pytest.warns(UserWarning, match="adaptive dropout does nothing: no nn.Dropout with p > 0") as told:
        method.backward(batch())
    assert len(told) == 1
    assert ("ordinary dropout stays in drop; put" in str(told[0].message)) == (case != "as a function")
    method.backward(batch())
    words = " ".join(method.describe().split())
    assert what in words
    assert str(told[0].message).split(": ", 1)[1] in words


def test_what_stays_uniform_beside_sites_is_named() -> None:
    model = nn.Sequential(
        nn.Embedding(20, 8), nn.TransformerEncoderLayer(8, 2, 16, 0.2, batch_first=True), nn.Flatten(),
        nn.Linear(56, 3),
    )  # fmt: skip
    method = uegr.attach(model, adamw(model), "uegr")
    text = batch()
    method.backward((text["input_ids"], text["labels"]))
    words = " ".join(method.describe().split())
    assert "Ordinary dropout stays: 1.self_attn: MultiheadAttention, no nn.Dropout" in words
    assert words.endswith("missing nothing")


def test_rates_that_are_given_are_not_missing_before_the_first_batch() -> None:
    model = toy(rate=0.0)
    assert uegr.attach(model, adamw(model), "uegr", base_rates=(0.2,)).describe().endswith("nothing")


@pytest.mark.filterwarnings("ignore:.*adaptive dropout does nothing")
def test_functional_dropout_shows_in_the_divergence() -> None:
    model = Functional(rate=0.0)
    method = uegr.attach(model, adamw(model), "uegr")
    assert "the divergence is 0" in method.describe()  # as far as one can see before a batch
    method.backward(batch())
    assert method.record["divergence"] > 1e-4
    assert "the divergence is 0" not in method.describe()
