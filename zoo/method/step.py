"""One training step, read from a row of the recipe table (Algorithm 1).

    3-4  clean pass(es) and their one backward pass, which gives at once their share of the parameter
         gradients, G = dL_clean / d(vectors) for the attack and the gradients at the dropout sites
    5    x_adv = x + delta, drop rates of the K passes
    6-8  K passes as one batch of K * B rows; their loss; one backward pass
    9-11 saliency, keep probabilities, mask; the optimizer gets m / p * g

The word vectors are cut off the graph and both backward passes end there, so the sum of their gradients
enters the embedding table once. Nothing is computed twice: 3 (1 + K) forward units a step.

Index letters: K passes, B examples, T tokens, D vector size, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo.core.batch import Batch
from zoo.fast.rows import watch_embeddings
from zoo.method.backward.selective import KeepRule, SelectiveUpdate
from zoo.method.contract import TextClassifier, check_contract, dropout_sites, embed_backward, repeats_late
from zoo.method.dropout import DropoutSites
from zoo.method.forward.attack import attack, embedding_rms, perturbation, project
from zoo.method.forward.divergence import DIVERGENCES, cross_entropy
from zoo.recipes import Recipe


@dataclass
class Trainee:
    """A model with what a recipe needs beside it; make one with `prepare`."""

    model: TextClassifier  # or any module with the same two calls
    recipe: Recipe
    sites: DropoutSites
    selective: SelectiveUpdate | None
    shares_trunk: bool  # all active sites lie in the head, so K passes need one trunk pass
    repeats_late: bool = False  # K passes share all layers before the first active site


def prepare(model: nn.Module, recipe: Recipe, generator: torch.Generator | None = None) -> Trainee:
    """Set up `model` (any module with `embed` and `classify`) for training under `recipe`.

    Args:
        generator: source of all dropout and selection masks, on the model's device.
    """
    check_contract(model)
    sites = dropout_sites(model)
    active = recipe.sites or getattr(model, "default_sites", tuple(sites))
    head = set(getattr(model, "head_sites", ()))
    selective = None
    if recipe.update == "selective":
        rule = KeepRule(
            recipe.threshold, recipe.sharpness, recipe.normalise, recipe.normalise_scope,
            recipe.p_floor, recipe.keep, recipe.keep_constant,
        )  # fmt: skip
        selective = SelectiveUpdate(
            selected_parameters(model, recipe.update_scope), rule, recipe.saliency, recipe.saliency_decay,
            recipe.rescale, recipe.resample, generator,
        )  # fmt: skip
    return Trainee(
        cast(TextClassifier, model),
        recipe,
        DropoutSites(sites, recipe, active, generator),
        selective,
        shares_trunk=hasattr(model, "trunk") and (recipe.dropout == "none" or set(active) <= head),
        repeats_late=repeats_late(model, active),
    )


def selected_parameters(model: nn.Module, scope: str) -> list[nn.Parameter]:
    """All parameters, or (`encoder`) all but the embedding tables' and the last linear layer's."""
    if scope == "all":
        return list(model.parameters())
    left_out = {p for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    left_out |= set(linear[-1].parameters()) if linear else set()
    return [p for p in model.parameters() if p not in left_out]


def train_step(trainee: Trainee, batch: Batch, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """One step of the recipe; returns the record of `compute_gradients` and of the selection."""
    optimizer.zero_grad()
    compute = freelb_gradients if trainee.recipe.step == "freelb" else compute_gradients
    with watch_embeddings(trainee.model, trainee.selective is not None) as touched:
        record = compute(trainee, batch)
    squares = record.pop("squares", None)
    on_update = trainee.selective is not None and trainee.recipe.mask_on == "update"
    if trainee.selective is not None and not on_update:
        record |= trainee.selective.apply(touched(), squares)
    if on_update:
        record |= _masked_optimizer_step(trainee, optimizer)
    else:
        optimizer.step()
    return {key: value for key, value in record.items() if isinstance(value, Tensor)}


def compute_gradients(trainee: Trainee, batch: Batch) -> dict[str, Any]:
    """Lines 3-9: leaves the gradient of the total loss in `.grad` and returns its terms (detached).

    Keys: loss, loss_clean, loss_adversarial, divergence (batch means, nats), perturbation (size of delta
    relative to the word vectors, root mean square), drop_rate/<site>, logits (K or clean passes, B, C).
    """
    model, recipe, sites = trainee.model, trainee.recipe, trainee.sites
    per_sample = trainee.selective is not None and recipe.saliency == "per_sample"
    vectors = model.embed(batch.tokens)
    # Per-sample squares need one graph from each example's loss to the parameters, hence no cut.
    x = vectors if per_sample else vectors.detach().requires_grad_()
    if per_sample:
        x.retain_grad()

    sites.plan_clean(recipe.clean)
    logits = classify_passes(trainee, x, batch.mask, recipe.clean)
    clean = cross_entropy(logits, batch.labels).mean(0)
    divergence = None if recipe.adversarial else _divergence(recipe, logits)
    loss = clean.mean() + _weighted(recipe, divergence)
    loss.backward(retain_graph=per_sample)
    sites.stop_watching()
    record: dict[str, Any] = {"loss_clean": clean.detach().mean()}

    examples = [clean]
    total, gradient = loss.detach(), _grad(x)
    if recipe.adversarial:
        delta = attack(
            recipe, x.detach(), gradient, batch, lambda point: _clean_gradient(trainee, batch, point)
        )
        x_adv = x + delta if per_sample else (x.detach() + delta).requires_grad_()
        sites.plan_passes(recipe.adversarial)
        logits = classify_passes(trainee, x_adv, batch.mask, recipe.adversarial)
        over_passes = torch.sum if recipe.adversarial_reduction == "sum" else torch.mean
        adversarial = over_passes(cross_entropy(logits, batch.labels), 0)
        divergence = _divergence(recipe, logits)
        loss = adversarial.mean() + _weighted(recipe, divergence)
        loss.backward(retain_graph=per_sample)
        examples.append(adversarial)
        total = total + loss.detach()
        gradient = _grad(x) if per_sample else gradient + _grad(x_adv)
        record["loss_adversarial"] = adversarial.detach().mean()
        record["perturbation"] = embedding_rms(delta, batch.mask) / embedding_rms(x.detach(), batch.mask)
    if not per_sample and vectors.requires_grad:
        embed_backward(model, batch.tokens, vectors, gradient)
    if per_sample:
        if divergence is not None:
            scale = len(batch.labels) if recipe.divergence_reduction == "sum" else 1
            examples.append(recipe.alpha * scale * divergence)
        record["squares"] = _per_sample_squares(trainee, torch.stack(examples).sum(0))
    if divergence is not None:
        record["divergence"] = divergence.detach().mean()
    record |= {f"drop_rate/{name}": rate for name, rate in sites.mean_rates().items()}
    return record | {"loss": total, "logits": logits.detach()}


def classify_passes(trainee: Trainee, x: Tensor, mask: Tensor, passes: int) -> Tensor:
    """`passes` passes over the same vectors (B, T, D) as one batch -> logits (passes, B, C)."""
    model = trainee.model
    if passes == 1:
        return model.classify(x, mask)[None]
    if trainee.shares_trunk:
        logits = model.head(model.trunk(x, mask).repeat(passes, 1))
    elif trainee.repeats_late:
        pending = trainee.sites.repeat_rows(passes)
        logits = model.classify(x, mask)
        if pending:  # no site was active, as at evaluation: all passes are the same
            logits = logits.repeat(pending.pop(), 1)
    else:
        logits = model.classify(x.repeat(passes, 1, 1), mask.repeat(passes, 1))
    return logits.unflatten(0, (passes, -1))


def _grad(x: Tensor) -> Tensor:
    """The gradient that a backward pass left at x; zeros where x does not reach the loss."""
    return torch.zeros_like(x) if x.grad is None else x.grad


def _clean_gradient(trainee: Trainee, batch: Batch, point: Tensor) -> Tensor:
    """dL_clean / d(vectors) at another point (B, T, D), for the further steps of PGD."""
    point = point.detach().requires_grad_()
    logits = classify_passes(trainee, point, batch.mask, trainee.recipe.clean)
    return torch.autograd.grad(cross_entropy(logits, batch.labels).mean(), point)[0]


def _divergence(recipe: Recipe, logits: Tensor) -> Tensor | None:
    """Divergence per example (B,) of the passes, or None where the recipe has none."""
    if recipe.divergence == "none" or len(logits) < 2:
        return None
    return DIVERGENCES[recipe.divergence](logits)


def _weighted(recipe: Recipe, divergence: Tensor | None) -> Tensor | float:
    if divergence is None:
        return 0.0
    reduce = torch.sum if recipe.divergence_reduction == "sum" else torch.mean
    return recipe.alpha * reduce(divergence)


def freelb_gradients(trainee: Trainee, batch: Batch) -> dict[str, Any]:
    """FreeLB (Zhu et al. 2020): A ascent steps from a random start, all A gradients averaged.

    delta_0 ~ U(-1, 1) * magnitude / sqrt(n_tokens * D); each step adds the gradient of CE(x + delta) / A to
    `.grad`, then moves delta along g / ||g||_F per example, inside the ball of `maximum_norm` (0 = none).
    All A steps see the same dropout mask.
    """
    recipe, mask = trainee.recipe, batch.mask
    vectors = trainee.model.embed(batch.tokens)
    entries = mask.sum(1)[:, None, None].clamp_min(1) * vectors.shape[2]
    start = 2 * trainee.sites.uniform(vectors.detach()) - 1
    delta = start * recipe.initial_magnitude / entries.sqrt() * mask[:, :, None]
    total, gradient = torch.zeros_like(vectors[0, 0, 0]).detach(), torch.zeros_like(vectors)
    trainee.sites.plan_clean(1)
    with trainee.sites.same_mask():
        for _ in range(recipe.ascent_steps):
            x = (vectors.detach() + delta).requires_grad_()
            logits = classify_passes(trainee, x, mask, 1)
            loss = cross_entropy(logits, batch.labels).mean() / recipe.ascent_steps
            loss.backward()
            total, gradient = total + loss.detach(), gradient + _grad(x)
            delta = delta + perturbation(_grad(x), mask, recipe.ascent_rate, "fgm")
            if recipe.maximum_norm > 0:
                delta = project(delta, recipe.maximum_norm, "fgm")
    if vectors.requires_grad:
        embed_backward(trainee.model, batch.tokens, vectors, gradient)
    size = embedding_rms(delta, mask) / embedding_rms(vectors.detach(), mask)
    return {"loss": total, "loss_adversarial": total, "perturbation": size, "logits": logits.detach()}


def _per_sample_squares(trainee: Trainee, losses: Tensor) -> list[Tensor]:
    """(1/B) sum_b g_b^2 for every selected parameter that has a gradient, from the B example losses."""
    assert trainee.selective is not None
    parameters = [p for p in trainee.selective.parameters if p.grad is not None]
    squares = [torch.zeros_like(p) for p in parameters]
    for loss in losses:
        grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        for square, gradient in zip(squares, grads, strict=True):
            if gradient is not None:
                square.addcmul_(gradient, gradient, value=1 / len(losses))
    return squares


def _masked_optimizer_step(trainee: Trainee, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The option mask_on = update: the optimizer's step is masked and rescaled in place of the gradient."""
    selective = trainee.selective
    assert selective is not None
    parameters = [p for p in selective.parameters if p.grad is not None]
    before = [p.detach().clone() for p in parameters]
    gradients = [p.grad.clone() for p in parameters if p.grad is not None]
    optimizer.step()
    sizes = [gradient.numel() for gradient in gradients]
    with torch.no_grad():
        mask, p = selective.draw(torch.cat([gradient.flatten() for gradient in gradients]), sizes)
        for parameter, old, m, keep in zip(
            parameters, before, mask.split(sizes), p.split(sizes), strict=True
        ):
            move = (parameter - old).flatten()
            scaled = move / keep if selective.rescale else move
            parameter.copy_(old + torch.where(m, scaled, 0.0).view_as(old))
    return {"kept_share": mask.float().mean(), "mean_keep_probability": p.mean()}
