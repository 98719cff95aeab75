"""Selective update (Eq. 7-9): a Bernoulli mask over the gradient that leaves its mean unchanged.

    s = g^2        stilde = rank(s) / (n - 1)        p = sigmoid(2 b (stilde - a))
    m ~ Bernoulli(p),   g <- m g / p                 E[m g / p | g] = g (Theorem 1)

It acts between `backward()` and `step()`, in front of any optimizer: on `.grad`, or where `mask_on` says
(`zoo.method.backward.places`). Clip gradients before it, never after: clipping afterwards breaks
unbiasedness.

Exact zeros take no part in the ranking: a batch leaves 95 % and more of an embedding table untouched, and
ranking those zeros would push every real gradient to the top, which switches the selection off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.core.records import setting
from zoo.fast.rows import Rows
from zoo.fast.widest import widened
from zoo.method.backward.normalise import NORMALISERS
from zoo.method.backward.places import PLACES, Entries, flat
from zoo.method.contract import selected_parameters
from zoo.method.rates import uniform
from zoo.method.trainee import Backward, BackwardStage, Finish, copied

# Of a keep probability: below it even double precision would keep an entry measurably too often.
LEAST_PROBABILITY = 1e-12
# From here on down masks are drawn in double precision: single precision knows multiples of 2^-24 only.
SMALL_PROBABILITY = 1e-4


@dataclass(frozen=True)
class Selective(Backward):
    """How saliencies become keep probabilities, and what the mask does."""

    kind: ClassVar[str] = "selective"

    keep: str = setting(
        "saliency", choices=("saliency", "constant")
    )  # constant: the control p = keep_constant
    keep_constant: float = setting(0.5, above=0, high=1)
    # Estimator of Eq. 7: the batch's, a moving average, the mean over the last epoch (the batch's own in the
    # first one), or the mean square of the examples' gradients. To an average a step without a gradient is 0.
    saliency: str = setting("batch", choices=("batch", "ema", "epoch", "per_sample"))
    saliency_decay: float = setting(0.9, low=0, high=1)  # of saliency = ema
    normalise: str = setting("rank", choices=tuple(NORMALISERS))  # Eq. 8, exact zeros left out
    normalise_scope: str = setting("global", choices=("global", "tensor"))
    threshold: float = setting(0.6, low=0, high=1)  # a of Eq. 9 ("masking ratio")
    sharpness: float = setting(1.0, low=0, high=40)  # b of Eq. 9 ("smoothness")
    p_floor: float = setting(0.0, low=0, high=1)  # sampled and rescaled with the same p, so still unbiased
    rescale: bool = setting(True)  # divide by p (Theorem 1); off is RoAST's ablation, and biased
    resample: str = setting("step", choices=("step", "epoch"))
    # encoder: word vectors and classifier are always updated.
    update_scope: str = setting("all", choices=("all", "encoder"))
    # `zoo.method.backward.places`; on the gradient, as ancestors have it, AdamW makes smaller steps.
    mask_on: str = setting("update", choices=tuple(PLACES), unnamed="gradient")

    def unread(self) -> Iterable[str]:
        """A constant keep probability asks for no saliency; each estimator has its own settings."""
        if self.keep == "constant":
            yield from (
                "saliency",
                "saliency_decay",
                "normalise",
                "normalise_scope",
                "threshold",
                "sharpness",
            )
            yield "p_floor"
        else:
            yield "keep_constant"
        if self.saliency != "ema":
            yield "saliency_decay"

    @property
    def wants_squares(self) -> bool:
        """Whether the forward stage must give the squared gradients of single examples."""
        return self.keep == "saliency" and self.saliency == "per_sample"

    @property
    def says(self) -> str:
        """Where the mask acts."""
        return {
            "update": "mask on the optimizer's step, corrected after it",
            "gradient": "mask on the gradient, just before the optimizer's step",
            "first_moment": "mask on the first moment, corrected after the optimizer's step",
        }[self.mask_on]

    @property
    def least_probability(self) -> float:
        """The smallest p that the rule can give."""
        if self.keep == "constant":
            return self.keep_constant
        smallest = 1 / (1 + math.exp(2 * self.sharpness * self.threshold))
        return max(self.p_floor, smallest, LEAST_PROBABILITY)

    def probabilities(self, saliency: Tensor, sizes: list[int]) -> Tensor:
        """p (n,) in (0, 1] from saliencies (n,) of entries grouped by tensor (`sizes` sums to n)."""
        if self.keep == "constant":
            return torch.full_like(saliency, self.keep_constant)
        parts = saliency.split(sizes) if self.normalise_scope == "tensor" else [saliency]
        normalised = torch.cat([NORMALISERS[self.normalise](part) for part in parts])
        p = (normalised - self.threshold).mul_(2 * self.sharpness).sigmoid_()
        return p.clamp_min_(max(self.p_floor, LEAST_PROBABILITY))

    def start(self, model: nn.Module, generator: torch.Generator) -> SelectiveUpdate:
        """The stage for the parameters of a model."""
        return SelectiveUpdate(selected_parameters(model, self.update_scope), self, generator)


class SelectiveUpdate(BackwardStage):
    """The selective update in front of an optimizer.

        selective = SelectiveUpdate(model.parameters())
        loss.backward(); selective.step(optimizer)

    With the mask on the gradient, whatever `mask_on` says: `selective.apply(); optimizer.step()`.

    Args:
        parameters: tensors whose gradients are masked; those that have one in a step are ranked jointly, so
            some may be frozen and learn later.
        settings: Eq. 8-9 and what the mask does; None: the defaults.
        generator: source of the masks; None: torch's own. One with the seed that made the weights draws their
            numbers once more, and masks must not depend on them.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        settings: Selective | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        self.scope = list(parameters)
        self.parameters = self.scope  # or, as a caller narrows it, a part
        self.settings, self.generator = settings or Selective(), generator
        s = self.settings
        ranked = s.keep == "saliency"
        # Whether anything is kept from step to step; of the parameters that have had a gradient, every entry.
        self.remembers = s.resample == "epoch" or (ranked and s.saliency in ("ema", "epoch"))
        # Min-max takes zeros too, so neither has a row shortcut.
        self.dense = self.remembers or (ranked and s.normalise == "minmax")
        self.known: dict[nn.Parameter, None] = {}  # those parameters, in the order of what is kept
        self.running: Tensor | None = None
        self.last_epoch: Tensor | None = None
        self.steps = 0
        self.fixed: tuple[Tensor, Tensor] | None = None

    def uniform(self, p: Tensor) -> Tensor:
        """Uniform numbers in [0, 1) in the shape of p; an entry is kept where they lie below p."""
        small = self.settings.least_probability < SMALL_PROBABILITY
        return uniform(p.shape, widened(p) if small else p, self.generator)

    def new_epoch(self) -> None:
        """Tell the options that change once an epoch that one begins."""
        self.fixed = None
        if self.settings.saliency == "epoch" and self.running is not None:
            self.last_epoch, self.running, self.steps = self.running / self.steps, None, 0

    def state(self) -> dict[str, Any]:
        """Running saliencies, the mask of the epoch, and of which parameters they are: number and shape."""
        kept = {name: getattr(self, name) for name in ("running", "last_epoch", "steps", "fixed")}
        numbers = {p: number for number, p in enumerate(self.scope)}
        return kept | {"known": [[numbers[p], list(p.shape)] for p in self.known]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`, on the device of the parameters.

        Raises:
            UserError: that of a model with other parameters.
        """
        state = copied(dict(state), self.scope[0].device if self.scope else None)
        shapes = {number: list(p.shape) for number, p in enumerate(self.scope)}
        known = state.get("known", ())  # states of earlier versions say nothing of it
        for number, shape in known:
            if shapes.get(number) != shape:
                expected = shapes.get(number, "none")
                raise UserError(f"state: of tensor {number} in shape {shape}; expected {expected}")
        self.known = {self.scope[number]: None for number, _ in known}
        size = sum(p.numel() for p in self.known)
        for name in ("running", "last_epoch"):
            if state[name] is not None and state[name].numel() != size:
                raise UserError(f"state: {name} of {state[name].numel()} numbers; expected {size}")
        self.running, self.last_epoch = state["running"], state["last_epoch"]
        self.steps, self.fixed = state["steps"], state["fixed"]

    @torch.no_grad()
    def before_step(
        self,
        optimizer: torch.optim.Optimizer,
        touched: Mapping[Tensor, Rows] | None = None,
        squares: list[Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Finish]:
        """What `step` does before the optimizer's, and what it does after it; for who takes it themselves."""
        entries, gradient, factor, record = self._masked(touched, squares)
        return record, PLACES[self.settings.mask_on](optimizer, entries, gradient, factor)

    @torch.no_grad()
    def apply(
        self,
        touched: Mapping[Tensor, Rows] | None = None,
        squares: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Mask every `.grad` in place.

        Args:
            touched: rows of a parameter that can be non-zero (the words of the batch in an embedding
                table); all other rows are left alone, which changes nothing but the cost.
            squares: saliencies in the shape of each gradient, for saliency = per_sample.

        Returns:
            `kept_share` (share of the non-zero entries kept) and `mean_keep_probability`, scalars.
        """
        entries, gradient, factor, record = self._masked(touched, squares)
        entries.put(lambda p: p.grad, gradient * factor)
        return record

    def _masked(
        self, touched: Mapping[Tensor, Rows] | None, squares: list[Tensor] | None
    ) -> tuple[Entries, Tensor, Tensor, dict[str, Tensor]]:
        """What the mask acts on, its gradient (n,) in float32 at least, m / p (n,), and the record."""
        own = [p for p in self.parameters if p.grad is not None]
        if self.remembers and own:
            return self._masked_as_known(own, squares)
        rows = {} if touched is None or self.dense or squares is not None else touched
        entries = Entries([(p, rows.get(p)) for p in own])
        gradient = entries.take(lambda p: p.grad)
        return entries, gradient, *self._factor(gradient, entries.sizes, squares)

    def _masked_as_known(
        self, own: list[nn.Parameter], squares: list[Tensor] | None
    ) -> tuple[Entries, Tensor, Tensor, dict[str, Tensor]]:
        """The same beside what is kept: known parameters without a gradient in this step count as zeros."""
        self._meet([p for p in own if p not in self.known])
        every = Entries([(p, None) for p in self.known])
        here = dict(zip(own, own if squares is None else squares, strict=True))
        gradient = every.take(lambda p: p.grad if p in here else torch.zeros_like(p))
        if squares is not None:
            squares = [here.get(p, torch.zeros_like(p)) for p in self.known]
        factor, record = self._factor(gradient, every.sizes, squares)
        if len(own) == len(self.known):
            return every, gradient, factor, record
        entries = Entries([(p, None) for p in self.known if p in here])
        of = dict(zip(self.known, factor.split(every.sizes), strict=True))
        return entries, entries.take(lambda p: p.grad), flat([of[p] for p, _ in entries.tensors]), record

    def _meet(self, new: list[nn.Parameter]) -> None:
        """Keep these too, from their first gradient on, which stands for the history that they lack."""
        if not new:
            return
        first = flat([cast(Tensor, p.grad) for p in new]).square()
        if self.running is not None:
            start = first if self.settings.saliency == "ema" else torch.zeros_like(first)
            self.running = torch.cat([self.running, start])
        if self.last_epoch is not None:
            self.last_epoch = torch.cat([self.last_epoch, first])
        self.fixed = None  # in the middle of an epoch, too, all draw anew
        self.known |= dict.fromkeys(new)

    def _factor(
        self, gradient: Tensor, sizes: list[int], squares: list[Tensor] | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """m / p (n,), and the record."""
        if not sizes:
            zero = torch.zeros(())
            return gradient, {"kept_share": zero, "mean_keep_probability": zero}
        keep, p = self._draw(gradient, sizes, squares)
        real = gradient.sign().abs_()  # 1 where not zero; unlike `!=` these are vectorised
        count = real.sum().clamp_min(1)
        # m / p first: finite whatever p, so a product, ten times as fast as torch.where, gives no 0 * inf.
        return keep / p if self.settings.rescale else keep, {
            "kept_share": torch.dot(keep, real) / count,
            "mean_keep_probability": torch.dot(p, real) / count,
        }

    def draw(
        self, gradient: Tensor, sizes: list[int], squares: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mask (bool) and keep probabilities (n,) of a flat gradient (n,) of tensors of `sizes`."""
        keep, p = self._draw(gradient, sizes, squares)
        return keep.bool(), p

    def _draw(
        self, gradient: Tensor, sizes: list[int], squares: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The same with a mask of 0 and 1 in the type of p, which later products take faster than a bool."""
        if (squares is not None) != self.settings.wants_squares:
            wanted = "squares of the examples" if squares is None else "no squares"
            raise ValueError(f"saliency={self.settings.saliency}: expected {wanted}")
        if self.fixed is not None:
            self._saliency(gradient, squares)  # keeps running sums up to date
            return self.fixed
        p = self.settings.probabilities(self._saliency(gradient, squares), sizes)
        keep = self.uniform(p).lt_(p).to(p.dtype)
        if self.settings.resample == "epoch":
            self.fixed = keep, p
        return keep, p

    def _saliency(self, gradient: Tensor, squares: list[Tensor] | None) -> Tensor:
        if self.settings.keep == "constant":
            return gradient  # nobody asks
        if squares is not None:
            return flat(squares)
        if self.settings.saliency == "batch" and self.settings.normalise == "rank":
            return gradient.abs()  # ranks as g^2 does, and does not underflow
        s = gradient.square()
        if self.settings.saliency == "ema":
            # In place, so that a recorded step (zoo.training.graphs) finds it again.
            decay = self.settings.saliency_decay
            self.running = s if self.running is None else self.running.copy_(s.lerp(self.running, decay))
            return self.running
        if self.settings.saliency == "epoch":
            self.running = s if self.running is None else self.running + s
            self.steps += 1
            return s if self.last_epoch is None else self.last_epoch
        return s
