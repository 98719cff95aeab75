"""One training step of each method the way research code writes it: what our speed is measured against.

    the embedding table itself is perturbed in place and restored from a copy
    the clean graph is kept and walked twice: once for the attack, once with the total loss
    K adversarial passes, one after the other
    the mask of the selective update covers every entry of every parameter, ranked by a full sort
    torch's default AdamW

It takes the zoo's recipes (any object with their fields) but shares no code with the zoo. What it computes
equals the zoo's `attack=fgm, attack_scope=table` (tests compare losses and weights); by default a text
is moved there by its own gradient, and here all words of a batch by that of the table.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Straightforward:
    """A model (call: tokens, mask, drop -> logits) with its optimizer, trained by `step`.

    Args:
        recipe: fields clean, adversarial, divergence, alpha, dropout, base_rates, attack, epsilon, update,
            mask_on, threshold, sharpness, forward, ascent_steps.
        sites: names of the dropout sites in use.
        mask: `sort` (rank over all entries) or `zscore` (of the squared gradients, tensor by tensor).
    """

    def __init__(self, model: nn.Module, recipe: Any, sites: Any, mask: str = "sort") -> None:
        self.model, self.recipe, self.sites, self.mask = model, recipe, sites, mask
        self.table = next(m for m in model.modules() if isinstance(m, nn.Embedding)).weight
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
        self.norms: dict[str, Tensor] = {}

    def step(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> float:
        """One step; returns the total loss."""
        recipe = self.recipe
        self.optimizer.zero_grad()
        if recipe.forward == "freelb":
            return self._freelb(tokens, mask, labels)
        passes = [self._forward(tokens, mask, 0, watch=True) for _ in range(recipe.clean)]
        loss = sum(F.cross_entropy(logits, labels) for logits in passes) / recipe.clean
        if recipe.adversarial == 0:
            loss = loss + recipe.alpha * self._divergence(passes)
            loss.backward()
        else:
            loss.backward(retain_graph=True)
            backup = self.table.data.clone()
            self.table.data.add_(self._perturbation(tokens))
            passes = [self._forward(tokens, mask, k + 1) for k in range(recipe.adversarial)]
            adversarial = sum(F.cross_entropy(logits, labels) for logits in passes) / len(passes)
            loss = loss + adversarial + recipe.alpha * self._divergence(passes)
            self.optimizer.zero_grad()
            loss.backward()
            self.table.data.copy_(backup)
        if recipe.update != "selective":
            self.optimizer.step()
        elif recipe.mask_on == "gradient":
            self.select()
            self.optimizer.step()
        else:
            self.select_update()
        return loss.item()

    def _forward(self, tokens: Tensor, mask: Tensor, k: int, watch: bool = False) -> Tensor:
        return self.model(tokens, mask, lambda name, h: self._drop(name, h, k, watch))

    def _drop(self, name: str, h: Tensor, k: int, watch: bool) -> Tensor:
        """Dropout of pass k (0 = clean) with the recipe's rates."""
        recipe = self.recipe
        if recipe.dropout == "none" or name not in self.sites:
            return h
        rate = recipe.base_rates[min(k, len(recipe.base_rates) - 1)]
        if recipe.dropout == "uniform":
            return F.dropout(h, rate)
        q = self._rates(name, rate, h)
        out = h * torch.bernoulli((1 - q).expand_as(h)) / (1 - q)
        if watch:
            out.register_hook(lambda g: self.norms.update({name: g.square().flatten(0, -2).mean(0).sqrt()}))
        return out

    def _rates(self, name: str, rate: float, h: Tensor) -> Tensor:
        """q = clip(c n, 0, 0.95) with mean `rate`, c by bisection; uniform before the first gradient."""
        n = self.norms.get(name)
        if n is None or n.sum() == 0:
            return torch.full_like(h[0].reshape(-1, h.size(-1))[0], rate)
        low, high = 0.0, 1e6 / n.max().item()
        for _ in range(50):
            middle = (low + high) / 2
            if (n * middle).clamp(max=0.95).mean().item() < rate:
                low = middle
            else:
                high = middle
        return (n * high).clamp(max=0.95)

    def _perturbation(self, tokens: Tensor) -> Tensor:
        """Shift of the whole table from its gradient; epsilon in units of the words' size."""
        gradient = _gradient(self.table)
        epsilon = self.recipe.epsilon
        words = self.table.data[tokens[tokens > 0]]
        if self.recipe.epsilon_unit == "norm":
            epsilon = epsilon * words.square().sum(1).mean().sqrt()
        elif self.recipe.epsilon_unit == "rms":
            epsilon = epsilon * words.square().mean().sqrt()
        if self.recipe.attack == "fgsm":
            return epsilon * gradient.sign()
        return epsilon * gradient / gradient.norm()

    def _divergence(self, passes: list[Tensor]) -> Tensor | float:
        """Mean over the batch, in nats."""
        if self.recipe.divergence == "none" or len(passes) < 2:
            return 0.0
        p = [F.softmax(logits, 1) for logits in passes]
        if self.recipe.divergence == "js":
            middle = torch.stack(p).mean(0)
            return sum(F.kl_div(middle.log(), one, reduction="batchmean") for one in p) / len(p)
        pairs = list(combinations(p, 2))
        both = [
            F.kl_div(a.log(), b, reduction="batchmean") + F.kl_div(b.log(), a, reduction="batchmean")
            for a, b in pairs
        ]
        return sum(both) / 2 / len(pairs)

    @torch.no_grad()
    def select(self) -> None:
        """Mask every entry of every gradient, g <- m g / p."""
        for parameter, factor in self.factors():
            parameter.grad = factor * _gradient(parameter)

    @torch.no_grad()
    def select_update(self) -> None:
        """Mask every entry of the optimizer's step that has a gradient."""
        factors = self.factors()
        before = [parameter.clone() for parameter, _ in factors]
        self.optimizer.step()
        for (parameter, factor), old in zip(factors, before, strict=True):
            move = parameter - old
            parameter.copy_(old + torch.where(_gradient(parameter) != 0, factor * move, move))

    def factors(self) -> list[tuple[Tensor, Tensor]]:
        """Every parameter with m / p for each of its entries, m ~ Bernoulli(p)."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        if self.recipe.keep == "constant":
            ps = [torch.full_like(parameter, self.recipe.keep_constant) for parameter in parameters]
        elif self.mask == "zscore":
            ps = []
            for parameter in parameters:
                s = _gradient(parameter).square()
                z = (s - s.mean()) / (s.std() + 1e-30)
                ps.append(torch.sigmoid(2 * self.recipe.sharpness * (z - self.recipe.threshold)))
        else:
            flat = self.keep_probability(torch.cat([_gradient(p).flatten() for p in parameters]))
            parts = flat.split([parameter.numel() for parameter in parameters])
            ps = [part.view_as(parameter) for part, parameter in zip(parts, parameters, strict=True)]
        return [(parameter, torch.bernoulli(p) / p) for parameter, p in zip(parameters, ps, strict=True)]

    def keep_probability(self, gradient: Tensor) -> Tensor:
        """p of Eq. 9 from the rank of |g| among the non-zero entries, by a sort of all of them."""
        order = gradient.abs().argsort()
        zeros = int((gradient == 0).sum())
        rank = torch.empty_like(gradient)
        rank[order] = torch.arange(len(gradient), dtype=gradient.dtype) - zeros
        normalised = rank.clamp(min=0) / max(len(gradient) - zeros - 1, 1)
        return torch.sigmoid(2 * self.recipe.sharpness * (normalised - self.recipe.threshold))

    def _freelb(self, tokens: Tensor, mask: Tensor, labels: Tensor) -> float:
        """FreeLB with a shift of the whole table in place of one for each place."""
        recipe, total = self.recipe, 0.0
        backup = self.table.data.clone()
        delta = (2 * torch.rand_like(backup) - 1) * recipe.initial_magnitude / tokens.numel() ** 0.5
        previous = torch.zeros_like(backup)
        for _ in range(recipe.ascent_steps):
            self.table.data.copy_(backup + delta)
            logits = self._forward(tokens, mask, 1)
            loss = F.cross_entropy(logits, labels) / recipe.ascent_steps
            loss.backward()
            total += loss.item()
            gradient = _gradient(self.table) - previous
            previous = _gradient(self.table).clone()
            delta = delta + recipe.ascent_rate * gradient / gradient.norm()
            norm = delta.norm()
            if norm > recipe.maximum_norm:
                delta = delta * recipe.maximum_norm / norm
        self.table.data.copy_(backup)
        self.optimizer.step()
        return total


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
