"""Plain recipes are the loop that one had, bit for bit; batches add up; the model is given back as it was."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import uegr
from toys import Toy, adamw, batch, same, toy, train


def plain(model: Toy, seeds: range, clip: float | None = None, autocast: bool = False) -> None:
    """The loop before `attach`."""
    optimizer = adamw(model)
    for seed in seeds:
        own = batch(seed)
        labels = own.pop("labels")
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = F.cross_entropy(model(**own).logits, labels)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_dropout_is_the_plain_loop_bit_for_bit(kind: torch.dtype) -> None:
    ours, theirs = toy().to(kind), toy().to(kind)
    method = uegr.attach(ours, adamw(ours), "dropout")
    torch.manual_seed(5)
    train(method, range(5), clip=0.1)
    torch.manual_seed(5)
    plain(theirs, range(5), clip=0.1)
    assert same(ours, theirs)
    assert not same(ours, toy().to(kind))


def test_standard_is_the_plain_loop_without_any_dropout() -> None:
    """Rates that a functional dropout reads off a module count too."""

    class Functional(Toy):
        def vectors_to_logits(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            h = F.dropout(self.inner(x).tanh(), self.early.p, self.training)
            return self.last(self.late(h.mean(1)))

    both = []
    for rate in (0.3, 0.0):
        torch.manual_seed(0)
        both.append(Functional(rate))
    method = uegr.attach(both[0], adamw(both[0]), "standard")
    train(method, range(5))
    plain(both[1], range(5))
    assert same(*both)
    assert both[0].early.p == both[0].late.p == 0.3


def test_under_autocast_it_is_the_plain_loop_under_autocast() -> None:
    ours, theirs = toy().float(), toy().float()
    method = uegr.attach(ours, adamw(ours), "dropout")
    torch.manual_seed(5)
    for seed in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            method.backward(batch(seed))
        method.optimizer.step()
        method.optimizer.zero_grad()
    torch.manual_seed(5)
    plain(theirs, range(3), autocast=True)
    assert same(ours, theirs)


@pytest.mark.filterwarnings("ignore:.*the divergence is 0")
@pytest.mark.parametrize("name", ["dropout", "at", "r_at_su", "sam", "freelb"])
def test_two_batches_of_a_step_are_one_batch(name: str) -> None:
    """Without dropout, and with an attack whose size does not depend on the batch."""
    settings: dict[str, Any] = {"epsilon_unit": "absolute"} if name in ("at", "r_at_su") else {}
    settings |= {"initial_magnitude": 0.0} if name == "freelb" else {"rho": 1e-9} if name == "sam" else {}
    whole, parts = toy(rate=0.0), toy(rate=0.0)
    recipe = uegr.recipe(name, **settings)
    once = uegr.attach(whole, torch.optim.SGD(whole.parameters(), 0.5), recipe, seed=1)
    twice = uegr.attach(parts, torch.optim.SGD(parts.parameters(), 0.5), recipe, accumulate=2, seed=1)
    for step in range(3):
        own = batch(step, rows=6)
        once.backward(own)
        for half in (slice(0, 3), slice(3, 6)):
            twice.backward({key: value[half] for key, value in own.items()})
        for method in (once, twice):
            method.optimizer.step()
            method.optimizer.zero_grad()
    assert same(whole, parts, within=1e-8 if name == "sam" else 1e-12)
    assert not same(whole, toy(rate=0.0), within=1e-3)


def test_the_loss_is_that_of_the_batch_whatever_it_is_divided_by() -> None:
    model = toy(rate=0.0)
    method = uegr.attach(model, adamw(model), "dropout", accumulate=4)
    own = batch()
    wanted = F.cross_entropy(model(own["input_ids"], own["attention_mask"]).logits, own["labels"])
    loss = method.backward(own, scale=lambda loss: 8 * loss)
    torch.testing.assert_close(loss, wanted.detach())
    assert not loss.requires_grad
    wanted.backward()
    assert model.last.weight.grad is not None
    doubled = model.last.weight.grad.clone()
    model.zero_grad()
    F.cross_entropy(model(own["input_ids"], own["attention_mask"]).logits, own["labels"]).backward()
    torch.testing.assert_close(doubled, model.last.weight.grad * 3)  # 8 / 4 of ours, and the wanted one


def hooks(model: nn.Module) -> list[Any]:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_with_kwargs")
    kinds += ("_forward_hooks_always_called",)
    return [list(getattr(m, kind)) for m in model.modules() for kind in kinds]


@pytest.mark.parametrize("name", ["uegr", "standard"])
def test_the_model_is_given_back_as_it_was(name: str) -> None:
    model, untouched = toy(), toy()
    optimizer = adamw(model)
    before = {id(m): dict(vars(m)) for m in model.modules()}
    method = uegr.attach(model, optimizer, name)
    assert list(model.state_dict()) == list(untouched.state_dict())
    method.backward(batch())
    optimizer.zero_grad()
    method.remove()
    method.remove()  # twice does nothing
    assert hooks(model) == hooks(untouched)
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert {id(m): dict(vars(m)) for m in model.modules()} == before
    assert type(model) is Toy
    for each in (model, untouched):
        torch.manual_seed(5)
        plain(each, range(3))
    assert same(model, untouched)


@pytest.mark.filterwarnings("ignore:.*the divergence is 0")
def test_the_whole_model_can_be_written_while_it_has_hooks() -> None:
    """By `torch.save(model)`, whatever the last pass was."""
    for name in uegr.RECIPES:
        model = toy()
        model.classifier = model.last
        method = uegr.attach(model, adamw(model), name)
        method.first_pass([batch(20)])
        train(method, range(2))
        kept = io.BytesIO()
        torch.save(model, kept)
        kept.seek(0)
        read = torch.load(kept, weights_only=False).eval()
        own = batch(3)
        del own["labels"]
        assert torch.equal(read(**own).logits, model.eval()(**own).logits), name


def test_passes_that_are_not_ours_are_as_without_a_method() -> None:
    """Evaluation, and a forward pass in training mode for a user's own ends."""
    model, untouched = toy(), toy()
    method = uegr.attach(model, adamw(model), "uegr")
    method.backward(batch())
    own = batch(1)
    own.pop("labels")
    for mode in (True, False):
        found = []
        for each in (model, untouched):
            each.train(mode)
            torch.manual_seed(3)
            found.append(each(**own).logits)
        assert torch.equal(*found)


@pytest.mark.parametrize("name", ["uegr", "standard"])
def test_a_pass_that_fails_leaves_no_rate_behind(name: str) -> None:
    """Inside a dropout module, whose own rate is 0 for that time; and the gradients before are kept."""

    def fail(*_: Any) -> None:
        raise RuntimeError("a failure of the user's")

    model = toy()
    method = uegr.attach(model, adamw(model), name)
    handle = model.late.register_forward_pre_hook(fail)
    model.last.bias.grad = torch.ones(3).double()
    with pytest.raises(RuntimeError, match="of the user's"):
        method.backward(batch())
    assert model.early.p == model.late.p == 0.3
    assert model.last.bias.grad is not None
    assert model.last.bias.grad.tolist() == [1, 1, 1]
    handle.remove()
    assert method.backward(batch()) > 0
