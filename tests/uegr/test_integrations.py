"""PEFT, activation checkpointing, Accelerate, Lightning Fabric: each is the plain loop on the same masks."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import uegr
from bench.tiny_families import texts, tiny
from slow import SlowLoop
from toys import adamw, batch, same, toy, train

SGD: dict[str, Any] = {"lr": 0.1}
# PEFT 0.21 asks transformers 5.23 by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing` is deprecated:FutureWarning")


def bert(**changes: Any) -> nn.Module:
    pytest.importorskip("transformers", reason="the extra hf")
    model = tiny("bert", **changes).double()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.2
    return model


def lora(model: nn.Module, rate: float) -> nn.Module:
    peft = pytest.importorskip("peft", reason="of the extra dev")
    torch.manual_seed(1)
    config = peft.LoraConfig(
        task_type="SEQ_CLS",
        r=4,
        lora_dropout=rate,
        target_modules=["query", "value"],
        init_lora_weights=False,
    )
    found: nn.Module = peft.get_peft_model(model, config).double().train()
    return found


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_adapters_are_trained_as_by_the_slow_loop(rate: float) -> None:
    """Frozen words are attacked all the same; LoRA's own dropout stays ordinary."""
    ours = lora(bert(), rate)
    theirs = copy.deepcopy(ours)
    held = [p for p in ours.parameters() if p.requires_grad]
    method = uegr.attach(ours, torch.optim.SGD(held, **SGD), "uegr_no_mask")
    loop = SlowLoop(theirs, time_major=False, leave="lora_dropout")
    for model, backward in ((ours, method.backward), (theirs, loop.backward)):
        torch.manual_seed(5)
        for step in range(2):
            model.zero_grad()
            backward(texts("bert", seed=step))
    frozen = 0
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        frozen += not one.requires_grad
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None and other.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-8, atol=1e-12, msg=name)
    assert frozen > 20
    assert float(method.record["perturbation"]) > 0
    assert len(method.sites.active) == 6
    words = " ".join(method.describe().split())
    assert ("lora_dropout.default: an adapter's own" in words) == (rate > 0)
    before = sorted(ours.state_dict())
    method.remove()
    assert sorted(ours.state_dict()) == before


def test_an_adapters_dropout_may_be_asked_for() -> None:
    model = lora(bert(), 0.3)
    name = next(n for n, m in model.named_modules() if "lora_dropout" in n and isinstance(m, nn.Dropout))
    held = [p for p in model.parameters() if p.requires_grad]
    method = uegr.attach(model, torch.optim.SGD(held, **SGD), uegr.recipe("uegr", sites=(name,)))
    method.backward(texts("bert"))
    assert list(method.sites.active) == [name]


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("scope", ["encoder", "all"])
def test_the_head_of_an_adapted_model_is_left_out_whatever_its_name(family: str, scope: str) -> None:
    """GPT-2's is called `score`, and PEFT's `base_model` has it inside."""
    transformers = pytest.importorskip("transformers", reason="the extra hf")
    peft = pytest.importorskip("peft", reason="of the extra dev")
    torch.manual_seed(0)
    if family == "bert":
        model, target, head = tiny("bert"), "query", "classifier"
    else:
        config = transformers.GPT2Config(
            vocab_size=50, n_embd=16, n_layer=1, n_head=2, pad_token_id=0, bos_token_id=1, eos_token_id=1
        )
        model, target, head = transformers.GPT2ForSequenceClassification(config), "c_attn", "score"
    config = peft.LoraConfig(
        task_type="SEQ_CLS", target_modules=[target], fan_in_fan_out=family == "gpt2", init_lora_weights=False
    )
    model = peft.get_peft_model(model, config).train()
    held = {name: p for name, p in model.named_parameters() if p.requires_grad}
    method = uegr.attach(
        model, torch.optim.SGD(held.values(), **SGD), uegr.recipe("uegr", update_scope=scope)
    )
    masked = {name for name, p in held.items() if any(p is q for q in method.stage.parameters)}
    heads = {name for name in held if f".{head}." in name}
    assert heads
    assert masked == (set(held) if scope == "all" else set(held) - heads)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_activation_checkpointing_of_a_family_changes_nothing(family: str, at_once: bool) -> None:
    pytest.importorskip("transformers", reason="the extra hf")
    gradients = []
    for checkpointed in (False, True):
        model = tiny(family).double()
        if checkpointed:
            assert model.supports_gradient_checkpointing
            model.activation_checkpointing_enable()  # type: ignore[operator]
        method = uegr.attach(
            model, torch.optim.SGD(model.parameters(), **SGD), "uegr", passes_at_once=at_once
        )
        torch.manual_seed(5)
        for step in range(2):
            model.zero_grad()
            method.backward(texts(family, seed=step))
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, one in gradients[0].items():
        torch.testing.assert_close(one, gradients[1][name], rtol=1e-9, atol=1e-13, msg=name)


@pytest.mark.parametrize("recipe", ["dropout", "uegr"])
@pytest.mark.parametrize("parts", [1, 2])
def test_accelerate_is_the_plain_loop(recipe: str, parts: int) -> None:
    accelerate = pytest.importorskip("accelerate", reason="the extra hf")
    plain, ours = toy(), toy()
    method = uegr.attach(plain, adamw(plain), recipe, accumulate=parts, seed=1)
    torch.manual_seed(5)
    for seed in range(4):
        method.backward(batch(seed))
        if seed % parts == parts - 1:
            nn.utils.clip_grad_norm_(plain.parameters(), 0.05)
            method.optimizer.step()
            method.optimizer.zero_grad()
    accelerate.state.AcceleratorState._reset_state(True)
    accelerate.state.GradientState._reset_state()  # other tests of one process have left theirs
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=parts)
    model, optimizer = accelerator.prepare(ours, adamw(ours))
    method = uegr.attach(model, optimizer, recipe, seed=1)
    torch.manual_seed(5)
    for seed in range(4):
        with accelerator.accumulate(model):
            loss = method.backward(batch(seed), backward=accelerator.backward)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 0.05)
            optimizer.step()
            optimizer.zero_grad()
    assert same(plain, ours, within=1e-12)
    assert not same(plain, toy(), within=1e-3)
    assert bool(loss > 0)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_fabric_is_the_plain_loop(precision: str) -> None:
    fabrics = pytest.importorskip("lightning_fabric", reason="of the extra dev")
    kind = torch.float64 if precision == "64-true" else torch.float32
    plain, ours = toy().to(kind), toy().to(kind)
    method = uegr.attach(plain, adamw(plain), "uegr", seed=1)
    torch.manual_seed(5)
    for seed in range(3):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision != "64-true"):
            method.backward(batch(seed))
        method.optimizer.step()
        method.optimizer.zero_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Fabric's own, of the processors that it finds
        fabric = fabrics.Fabric(accelerator="cpu", devices=1, precision=precision)
        model, optimizer = fabric.setup(ours, adamw(ours))
    method = uegr.attach(model, optimizer, "uegr", seed=1)
    torch.manual_seed(5)
    for seed in range(3):
        method.backward(batch(seed), backward=fabric.backward)
        optimizer.step()
        optimizer.zero_grad()
    near = 1e-12 if precision == "64-true" else 2e-3
    assert same(plain, ours, within=near)
    assert not same(plain, toy().to(kind), within=5e-3)


def test_a_scaled_backward_pass_leaves_the_same_statistics() -> None:
    """Whoever scales the loss: the norms at the sites are those of the loss itself."""
    averages = []
    for how in (None, lambda loss: (1024 * loss).backward()):
        model = toy()
        method = uegr.attach(model, adamw(model), "uegr")
        torch.manual_seed(5)
        method.backward(batch(), backward=how)
        averages.append(method.sites.active["late"].average)
    assert torch.equal(*averages)
    assert bool(averages[0].any())


def test_a_model_in_half_precision_weights_trains() -> None:
    """All in bfloat16, without autocast: losses and rates are still those of float32."""
    model = toy().to(torch.bfloat16)
    method = uegr.attach(model, adamw(model), "uegr")
    train(method, range(3))
    terms: dict[str, Tensor] = method.record
    assert terms["divergence"].dtype == torch.float32
    assert float(terms["divergence"]) >= 0
