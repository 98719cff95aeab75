"""Adaptive dropout at the `nn.Dropout` modules that a model has, by hooks: no module is exchanged.

In a pass of ours such a module drops nothing itself (its `p` is 0 from one hook to the next), and the second
hook applies the rates by channel, the last axis. What stays ordinary dropout: uniform rates that are the
modules' own, probabilities of attention (4 dimensions), functional dropout, modules that drop in another way.

Index letters: K passes, B examples, T tokens, U units, R rows of one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from uegr.compiled import Wrap
from uegr.objective import wide
from uegr.positions import Positions
from uegr.random_numbers import put_random_states, random_states
from zoo.core.errors import UserError
from zoo.core.options import one_of
from zoo.method.contract import active_sites, dropout_sites
from zoo.method.dropout import AdaptiveDropout, Pass, rows_like
from zoo.method.sites import Dropout, DropoutSites

ADAPTER = "lora_dropout"  # what PEFT calls the dropout in front of LoRA's matrices
Observe = Callable[[Tensor, Tensor | None, Tensor], None]
Key = tuple[str, int, int]  # name of the module, number of its call in a forward pass, U


class HookedSites(DropoutSites):
    """The sites of any model: what its forward passes show, and the `AdaptiveDropout` modules it may have.

    Args:
        settings: None = no dropout at all, not even the model's own.
        own_rates: whether a site's mean rate is the module's own `p`, not the recipe's `base_rates`.

    Raises:
        UserError: the settings name a site that the model has not.
    """

    def __init__(self, model: nn.Module, settings: Dropout | None, own_rates: bool) -> None:
        named = () if settings is None else settings.sites
        ours = dropout_sites(model)
        self.names = {m: name for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
        for name in named:
            if name not in ours and name not in self.names.values():
                known = [*ours, *self.names.values()]
                raise UserError(f"dropout setting sites={name}: expected {one_of(name, known)}")
        self.model, self.named, self.own_rates = model, named, own_rates
        self.own: dict[str, float] = {name: site.rate for name, site in ours.items()}
        self.keys: dict[Key, str] = {}
        self.skipped: dict[str, str] = {}  # modules that stay ordinary, and why
        self.unit: Tensor | None = None  # by what gradients are scaled
        self._pending: dict[nn.Dropout, tuple[str, float, Tensor, bool]] = {}
        self._passes: list[int] = []
        self._watching = False
        self._whole: dict[str, Pass] = {}
        self._window = slice(None)
        self._calls: dict[nn.Dropout, int] = {}
        self.positions = Positions()
        self.time_major = False  # whether states are (T, R, U) where their shape does not tell
        self._first: dict[tuple[str, int], bool] = {}  # whether a call's rows come first
        self._rows, self._batch, self._live, self._forward = 0, 0, False, False
        self.called = False  # whether a pass has shown which modules are sites
        active = [n for n in named if n in ours] if named else active_sites(model, ())
        super().__init__(ours, settings, active, None)
        # Uniform rates of its own are what a module does by itself, but in a clean pass without dropout.
        ordinary = own_rates and settings is not None and settings.kind == "uniform"
        self.hooked = settings is not None and not (ordinary and settings.clean_dropout != "off")
        self.handles: list[Any] = []
        self.hook()

    def hook(self, wrap: Wrap | None = None) -> None:
        """Set the hooks, as `wrap` gives them, in place of those that were set."""
        self._unhook()
        keep: Wrap = lambda f: f  # noqa: E731
        before, after = map(wrap or keep, (self._before, self._after))
        for module in self.names if self.hooked else ():
            self.handles.append(module.register_forward_pre_hook(before))
            self.handles.append(module.register_forward_hook(after))

    def base_rate(self, name: str, k: int) -> float:
        """Mean drop rate of a site in pass k (0 = clean)."""
        given = super().base_rate(name, k)
        off = k == 0 and self.settings is not None and self.settings.clean_dropout == "off"
        return self.own[name] if self.own_rates and not off else given

    # --- around the passes --------------------------------------------------------------------------------

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Passes of ours run in this block; without settings every drop rate that a module holds is 0."""
        held: list[tuple[nn.Module, str, float]] = []
        if self.settings is None:
            for module in self.model.modules():
                for name in rate_attributes(module):
                    held.append((module, name, getattr(module, name)))
                    setattr(module, name, 0.0)
        self._live = True
        try:
            yield
        finally:
            self._live = self._forward = False
            for dropout, (_, rate, _, _) in self._pending.items():  # of a pass that has failed in between
                dropout.p = rate
            self._pending.clear()
            for module, name, rate in held:
                setattr(module, name, rate)

    @contextmanager
    def forward(self, rows: int, first: int, last: int) -> Iterator[None]:
        """One call of the model on R = `rows` rows: passes first .. last - 1 of those planned."""
        self._rows, self._calls, self._forward, self.called = rows, {}, True, True
        self._batch = rows // (last - first)
        self._narrow(slice(first, last))
        try:
            yield
        finally:
            self._forward = False

    def plan_clean(self, passes: int, keep_mask: bool = False) -> None:
        """The clean pass(es); `keep_mask`: all of torch's random numbers can be drawn again."""
        self._heed_rates()
        super().plan_clean(passes)
        if keep_mask:
            self._drawn_from = random_states(self.model)

    def _heed_rates(self) -> None:
        """A module's own rate may change from step to step; at 0 it drops nothing, whatever is planned."""
        if not self.own_rates or not self.keys:
            return
        modules = {name: module for module, name in self.names.items()}
        for (name, *_), title in self.keys.items():
            if (rate := modules[name].p) > 0 and rate != self.own[title]:
                self.own[title] = self._checked(name, rate)
                self._constants.clear()  # those of rates that do not come again

    def plan_same_mask(self) -> None:
        """The pass before with all its masks, those of ordinary dropout too."""
        put_random_states(self.model, self._drawn_from)

    def _plan(self, passes: list[int], statistics: Any, *, watch: bool, keep_mask: bool = False) -> None:
        super()._plan(passes, statistics, watch=watch, keep_mask=keep_mask)
        self._passes, self._watching, self._window = passes, watch, slice(None)
        self._whole = {name: self._scaled(site.coming) for name, site in self.active.items() if site.coming}
        self._narrow(self._window)

    def _narrow(self, window: slice) -> None:
        self._window = window
        for name, coming in self._whole.items():
            self.active[name].coming = replace(coming, rates=coming.rates[window])

    def _scaled(self, coming: Pass) -> Pass:
        """The same, but its observer sees the gradient of the loss itself, in float32, of all passes."""
        return coming if coming.observe is None else replace(coming, observe=_Observer(self, coming.observe))

    @property
    def rows_planned(self) -> int:
        """K * B of the passes planned."""
        return self._batch * len(self._passes)

    # --- the hooks ----------------------------------------------------------------------------------------

    def _before(self, module: nn.Dropout, args: tuple[Any, ...]) -> None:
        if not self._live or not module.training or not args:
            return
        h, name = args[0], self.names[module]
        number = self._number(module, name)
        if reason := self._unfit(module, name, h):
            self.skipped[name] = reason
            return
        first = self._rows_first((name, number), h)
        states = h if first else h.transpose(0, 1)
        site = self._site(module, (name, number, h.shape[-1]), states)
        self._pending[module] = (site, module.p, states, first)
        module.p = 0.0

    def _after(self, module: nn.Dropout, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if module not in self._pending:
            return None
        name, rate, states, first = self._pending.pop(module)
        module.p = rate
        site: Callable[[Tensor, Tensor | None], Tensor] = self.active[name]
        out = site(states, self.positions.of(states))
        return out if first else out.transpose(0, 1)

    def _rows_first(self, call: tuple[str, int], h: Tensor) -> bool:
        """Whether h is (R, T, U) or (R, U), not (T, R, U); where T = R, as at other batches."""
        first = len(h) == self._rows
        if h.dim() == 3 and h.shape[0] == h.shape[1]:
            return self._first.get(call, not self.time_major)
        self._first[call] = first
        return first

    def _number(self, module: nn.Dropout, name: str) -> int:
        """Which call of the module in this forward pass it is."""
        if self._forward:
            self._calls[module] = self._calls.get(module, 0) + 1
            return self._calls[module] - 1
        if self._calls.get(module, 1) > 1:  # a backward pass that computes a part of the forward pass anew
            raise UserError(
                f"dropout {name}: several calls in a forward pass that gradient checkpointing repeats, in an "
                "order that is not known; expected no checkpointing, or dropout=uniform with own rates"
            )
        return 0

    def _unfit(self, module: nn.Dropout, name: str, h: Tensor) -> str | None:
        """Why a call stays ordinary dropout."""
        if self.named and name not in self.named:
            return "not among the recipe's sites"
        if not self.named and ADAPTER in name.split("."):
            return "an adapter's own; name it in sites= if it should be one"
        if self.own_rates and module.p == 0:
            return "its rate is 0"
        if h.dim() not in (2, 3):
            return f"input of {h.dim()} dimensions, as attention's probabilities have"
        return None if self._rows in h.shape[:-1] else f"no axis of the batch in {tuple(h.shape)}"

    def _site(self, module: nn.Dropout, key: Key, h: Tensor) -> str:
        """The name of the site of such a call, which is made when it is met first."""
        if key not in self.keys:
            rate = module.p
            site = self._made(key, rate, h.device, h.dtype)
            coming = Pass(
                self._site_rates(self.keys[key], site, self._passes, None),
                observe=self.watches[self.keys[key]].observe if self._watched else None,
            )
            self.positions.heed(key[0], h, [units for *call, units in self.keys if call == [*key[:2]]])
            self._whole[self.keys[key]] = self._scaled(coming)
            self._narrow(self._window)
        return self.keys[key]

    @property
    def _watched(self) -> bool:
        return self._watching and self.settings is not None and self.settings.kind != "uniform"

    def _checked(self, name: str, rate: float) -> float:
        s = self.settings
        if s is not None and self.own_rates and s.kind != "uniform" and not s.q_min <= rate <= s.q_max:
            raise UserError(f"dropout {name}: p={rate}; expected q_min={s.q_min} to q_max={s.q_max}")
        return rate

    def _made(self, key: Key, rate: float, device: torch.device, dtype: torch.dtype) -> AdaptiveDropout:
        name, number, units = key
        assert self.settings is not None
        calls = sum(key[:2] == (name, number) for key in self.keys)
        title = name + (f"#{number + 1}" if number else "") + (f"@{units}" if calls else "")
        site = AdaptiveDropout(units, kind="uniform")
        site.to(device, dtype if dtype.itemsize >= 4 else torch.float32)
        site.managed = True
        self.keys[key], self.own[title] = title, self._checked(name, rate)
        self.use(title, site)
        self.watches[title].open = self._watching
        return site

    # --- the end, and the state ---------------------------------------------------------------------------

    def remove(self) -> None:
        """Take the hooks out; `AdaptiveDropout` modules are their own masters again."""
        self._unhook()
        for site in dropout_sites(self.model).values():
            site.managed, site.coming = False, None

    def _unhook(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def state_dict(self) -> dict[str, Any]:
        """What earlier steps have left at each site that a hook serves, and at the model's own sites."""
        keys = {title: key for key, title in self.keys.items()}
        return {
            title: {
                "key": keys.get(title), "rate": self.own[title], "average": site.average.clone(),
                "latest": self.watches[title].latest, "before": self.watches[title].before,
            }
            for title, site in self.active.items()
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`, on the device of the model.

        Raises:
            UserError: a site that this model has not.
        """
        device = next((p.device for p in self.model.parameters()), None)
        for title, own in state.items():
            if title not in self.active:
                if own["key"] is None or own["key"][0] not in self.names.values():
                    raise UserError(
                        f"state: a dropout site {title}, which {type(self.model).__name__} has not"
                    )
                average = own["average"]
                self._made(tuple(own["key"]), own["rate"], device or average.device, average.dtype)
            self.active[title].average.copy_(own["average"])
        self.load_seen({title: (own["latest"], own["before"]) for title, own in state.items()})


class _Observer:
    """What hands an observer the gradient of the loss itself.

    A class, as a function inside another could not be written by `torch.save(model)`, whose hooks lead here.
    """

    def __init__(self, sites: HookedSites, observe: Observe) -> None:
        self.sites, self.observe = sites, observe
        self.parts: list[tuple[Tensor, Tensor]] = []  # of passes that do not come as one batch

    def __call__(self, gradient: Tensor, mask: Tensor | None, output: Tensor) -> None:
        gradient, parts, unit = wide(gradient), self.parts, self.sites.unit
        parts.append((gradient if unit is None else gradient / unit, wide(output)))
        if sum(len(g) for g, _ in parts) == self.sites.rows_planned:
            every = [torch.cat(both) if len(parts) > 1 else both[0] for both in zip(*parts, strict=True)]
            parts.clear()
            self.observe(every[0], None if mask is None else rows_like(mask, every[0]), every[1])


def rate_attributes(module: nn.Module) -> list[str]:
    """Attributes of a module of torch's that hold a drop rate."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return ["p"]
    return ["dropout"] if isinstance(module, nn.RNNBase | nn.MultiheadAttention) else []
