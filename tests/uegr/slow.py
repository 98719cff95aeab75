"""A step of UEGR without the mask, as one would write it down: formulas of the reference, vectors by
`inputs_embeds`, dropout modules exchanged, one graph from the loss to the table. Slow, and no hook in it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uegr_ref import dropout, perturb
from zoo.recipes import resolve_recipe

SETTINGS = resolve_recipe("uegr", "pretrained").flat()
K: int = SETTINGS["adversarial"]
DECAY = 0.9


class SlowDropout(nn.Dropout):
    """In the place of an `nn.Dropout`: a rate for each pass, call and unit, and outputs that are kept."""

    def __init__(self, rate: float, loop: SlowLoop) -> None:
        super().__init__(rate)
        self.loop = [loop]  # in a list, so that it is no child
        self.name = ""
        self.calls = 0
        self.outputs: dict[int, Tensor] = {}

    def forward(self, h: Tensor) -> Tensor:
        loop, number = self.loop[0], self.calls
        self.calls += 1
        if not self.training or self.p == 0 or h.dim() > 3 or loop.rows not in h.shape[:-1]:
            return super().forward(h)
        turned = loop.time_major and h.dim() == 3
        if not h.requires_grad:
            h = h.detach().requires_grad_()
        x = h.transpose(0, 1) if turned else h
        rates = torch.stack([loop.rates(self, number, k, x.shape[-1]) for k in loop.passes])
        each = rates.repeat_interleave(loop.rows // len(loop.passes), 0).to(x.dtype)
        if x.dim() == 3:
            each = each[:, None]
        out = x * (torch.rand(x.shape, dtype=x.dtype) >= each) / (1 - each)
        self.outputs[number] = out
        return out.transpose(0, 1) if turned else out


class SlowLoop:
    """Gradients of a sequence classifier of Hugging Face, a batch after the other."""

    def __init__(self, model: nn.Module, time_major: bool, leave: str = "?") -> None:
        self.model: Any = model
        self.time_major = time_major  # states (T, R, U)
        self.rows, self.passes = 0, [0]
        self.norms: dict[tuple[str, int], Any] = {}
        self.averages: dict[tuple[str, int], Any] = {}
        for path, module in list(model.named_modules()):
            if isinstance(module, nn.Dropout) and leave not in path:
                parent, _, name = path.rpartition(".")
                site = SlowDropout(module.p, self)
                setattr(model.get_submodule(parent), name, site)
                site.name = path
        self.sites = [m for m in model.modules() if isinstance(m, SlowDropout)]

    def rates(self, site: SlowDropout, number: int, k: int, units: int) -> Tensor:
        """(U,) of one call: from the norms before this step in the clean pass, else of this step."""
        known = (self.averages if k == 0 else self.norms).get((site.name, number))
        if known is None:
            return torch.full((units,), site.p, dtype=torch.float64)
        return torch.from_numpy(dropout.drop_rates(known, site.p))

    def logits(self, vectors: Tensor, inputs: dict[str, Tensor], passes: list[int]) -> Tensor:
        self.passes, self.rows = passes, len(passes) * len(vectors)
        for site in self.sites:
            site.calls, site.outputs = 0, {}
        times = len(passes)
        own = {key: t.repeat(times, 1) for key, t in inputs.items() if key not in ("input_ids", "labels")}
        found: Tensor = self.model(inputs_embeds=vectors.repeat(times, 1, 1), **own).logits
        return found.unflatten(0, (times, -1))

    def backward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Adds to `.grad`; returns loss and divergence."""
        labels, mask = batch["labels"], batch["attention_mask"].bool().numpy()
        x = self.model.get_input_embeddings()(batch["input_ids"])
        x = x if x.requires_grad else x.requires_grad_()  # of a frozen table
        clean = F.cross_entropy(self.logits(x, batch, [0])[0], labels)
        outputs = {(s.name, n): out for s in self.sites for n, out in s.outputs.items()}
        asked = [x, *outputs.values()]
        gradient, *inner = torch.autograd.grad(clean, asked, retain_graph=True, allow_unused=True)
        for key, g in zip(outputs, inner, strict=True):
            out = outputs[key]
            words = mask if out.dim() == 3 and out.shape[1] == mask.shape[1] else None
            norm = dropout.gradient_norm((torch.zeros_like(out) if g is None else g).double().numpy(), words)
            before = self.averages.get(key)
            self.norms[key] = norm
            self.averages[key] = norm if before is None else DECAY * before + (1 - DECAY) * norm
        epsilon, kind = SETTINGS["epsilon"], (SETTINGS["attack"], SETTINGS["attack_scope"])
        words = x.detach().numpy()[mask]  # (n, D)
        epsilon *= {"rms": (words**2).mean(), "norm": (words**2).sum(1).mean()}[
            SETTINGS["epsilon_unit"]
        ] ** 0.5
        delta = torch.from_numpy(perturb.perturbation(gradient.numpy(), epsilon, mask, *kind))
        logits = self.logits(x + delta, batch, list(range(1, K + 1)))
        adversarial = torch.stack([F.cross_entropy(z, labels) for z in logits]).mean()
        p = logits.softmax(-1)
        m = p.mean(0)
        divergence = (p * (p / m).log()).sum(-1).mean()
        loss = clean + adversarial + SETTINGS["alpha"] * divergence
        loss.backward()
        return loss.detach(), divergence.detach()
