"""What each fast path gains: the forms of one piece of work, run in turn.

Every row of `zoo.fast.twins.TWINS`, and what stands above single operators: the optimizer, the mask, the
attack, whole steps. The first form is the slow twin, `kept` names the one in use; others were tried and lost.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.cases import TABLE_IV_ARCHS, Case, Feed, make_trainee
from bench.timing import interleaved, ratio, timed
from bench.twin import Twin
from zoo.fast.denormals import flushed
from zoo.fast.memory import keep_freed_memory
from zoo.fast.rows import Rows
from zoo.fast.shapes import demand_fixed_shapes
from zoo.fast.trials import Make
from zoo.fast.twins import TWINS, Twins, leaves
from zoo.method.backward.places import PLACES
from zoo.method.forward.attack import perturbation
from zoo.method.step import train_step
from zoo.training.environment import PORTABLE

Variants = dict[str, Callable[[], object]]
ByProcess = dict[str, tuple[str, dict[str, str]]]  # what a process runs, and the variables it is started with


def measure_levers(rounds: int, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """One entry a lever: title, kept, and of each variant milliseconds and its ratio to the first."""
    keep_freed_memory()
    torch.manual_seed(0)
    found = []
    for title, kept, make in levers():
        report(title)
        steps = {name: timed(step) for name, step in make().items()}
        found.append(_entry(title, kept, interleaved(steps, rounds)))
    for title, kept, case, variants in BY_PROCESS:
        report(title)
        found.append(_in_processes(title, kept, case, variants, rounds))
    return found


def levers() -> list[tuple[str, str, Callable[[], Variants]]]:
    """Title, name of the variant in use, and what makes the variants."""
    rows = [
        (title, row.kept, partial(forms_of, row, make))
        for row in TWINS.values()
        for title, make in row.timed.items()
    ]
    return rows + ABOVE


def forms_of(row: Twins, make: Make) -> Variants:
    """The forms of a row on the same arguments; forward and backward where the row compares gradients."""
    inputs = make(torch.Generator().manual_seed(0), torch.float32)
    wanted = leaves(inputs) if row.with_gradient else []
    upstream = torch.randn_like(row.forms[row.slow](*inputs)) if wanted else None

    def run(form: Callable[..., Tensor]) -> object:
        value = form(*inputs)
        return torch.autograd.grad(value, wanted, upstream) if wanted else value

    return {name: partial(run, form) for name, form in row.forms.items()}


def _entry(title: str, kept: str, times: dict[str, Any]) -> dict[str, Any]:
    first = next(iter(times.values()))
    rows = []
    for name, measured in times.items():
        low, middle, high = measured.spread()
        gain = ratio(first, measured)[1]
        rows.append({"variant": name, "ms": middle, "quartiles": [low, high], "gain": gain})
    return {"title": title, "kept": kept, "variants": rows}


def _mask() -> Variants:
    """The selective update of a step of textcnn at length 64, over all entries or over touched rows."""
    case = Case("textcnn", "uegr", 64)
    trainee, _ = make_trainee(case)
    batch = Feed(case)()
    weight = trainee.model.embedding.weight
    rows = Rows.of(batch.tokens)
    update: Any = trainee.backward
    gradients = [torch.randn_like(p) for p in trainee.model.parameters()]

    def apply(touched: dict[Tensor, Rows] | None) -> None:
        for parameter, gradient in zip(trainee.model.parameters(), gradients, strict=True):
            if parameter is weight:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                rows.put(parameter.grad, rows.take(gradient))
            else:
                parameter.grad = gradient.clone()
        update.apply(touched)

    return {"every entry": lambda: apply(None), "rows of the batch": lambda: apply({weight: rows})}


def _places(arch: str) -> Variants:
    """A UEGR step with the mask in each of its places, on the gradient first; the last form has none."""
    cases = {place: Case(arch, "uegr", 64, changes=(("mask_on", place),)) for place in ("gradient", *PLACES)}
    variants: Variants = {}
    for name, case in {**cases, "no mask": Case(arch, "uegr_no_mask", 64)}.items():
        (trainee, optimizer), feed = make_trainee(case), Feed(case)
        variants[name] = partial(lambda t, o, f: train_step(t, f(), o), trainee, optimizer, feed)
    return variants


def _denormals() -> Variants:
    """A plain step of BiLSTM on long texts, whose gradient fades towards their beginning."""
    (trainee, optimizer), feed = make_trainee(LONG), Feed(LONG)

    def step(flush: bool) -> None:
        with flushed(flush):
            train_step(trainee, feed(), optimizer)

    return {"computed with": lambda: step(False), "taken for zero": lambda: step(True)}


def _optimizer() -> Variants:
    table = nn.Parameter(torch.randn(30_000, 300))
    table.grad = torch.zeros_like(table)
    forms: dict[str, dict[str, Any]] = {"default": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}
    return {name: torch.optim.AdamW([table], lr=1e-4, **options).step for name, options in forms.items()}


def _fgsm() -> Variants:
    gradient, mask = torch.randn(16, 256, 300), torch.ones(16, 256, dtype=torch.bool)

    def general() -> Tensor:
        with demand_fixed_shapes():
            return perturbation(gradient, mask, 0.1)

    return {
        "entry by entry, whatever is finite": general,
        "all finite, known by one sum": lambda: perturbation(gradient, mask, 0.1),
    }


def _shared(case: Case) -> Variants:
    """Whole passes for each sub-model, against what they share."""
    (trainee, optimizer), feed = make_trainee(case), Feed(case)
    usual = trainee.shares_trunk, trainee.sites.repeats

    def step(flags: tuple[bool, bool]) -> None:
        trainee.shares_trunk, trainee.sites.repeats = flags
        train_step(trainee, feed(), optimizer)

    return {
        "K whole passes": lambda: step((False, False)),
        "what is alike computed once": lambda: step(usual),
    }


def _in_processes(title: str, kept: str, case: Case, variants: ByProcess, rounds: int) -> dict[str, Any]:
    """Whole steps in processes of their own."""
    with ExitStack() as stack:
        steps = {}
        for name, (what, environment) in variants.items():
            twin = stack.enter_context(Twin(1, environment))
            twin.take(case, what)
            steps[name] = twin.step
        return _entry(title, kept, interleaved(steps, rounds, warm_up=5))


LONG = Case("bilstm", "standard", 256)
_ONCE = "what is alike computed once"
ABOVE: list[tuple[str, str, Callable[[], Variants]]] = [
    ("Selective update, textcnn, length 64", "rows of the batch", _mask),
    *(
        (f"Place of the mask, UEGR step of {arch}, length 64", "update", partial(_places, arch))
        for arch in TABLE_IV_ARCHS
    ),
    ("AdamW on a table of 30,000 x 300", "fused", _optimizer),
    ("FGSM perturbation of 16 x 256 words", "all finite, known by one sum", _fgsm),
    ("Plain step of bilstm, length 256: denormal numbers", "taken for zero", _denormals),
    (
        "UEGR step of textcnn, length 256: dropout behind the trunk",
        _ONCE,
        partial(_shared, Case("textcnn", "uegr", 256)),
    ),
    (
        "UEGR step of texthan, two layers of 300, length 64",
        _ONCE,
        partial(_shared, Case("texthan", "uegr", 64, sizes="paper")),
    ),
    (
        "UEGR step of han, length 256: dropout of sentences",
        _ONCE,
        partial(_shared, Case("han", "uegr", 256)),
    ),
]
_KEPT, _HUGE = "zoo, memory kept", {"THP_MEM_ALLOC_ENABLE": "1"}
_WIDTH: ByProcess = {"as wide as it is": (_KEPT, {}), "the same on all (--portable)": (_KEPT, PORTABLE)}
BY_PROCESS: list[tuple[str, str, Case, ByProcess]] = [
    (
        "UEGR step of textcnn, length 256: memory",
        "freed memory kept",
        Case("textcnn", "uegr", 256),
        {
            "as it comes": ("zoo", {}),
            "freed memory kept": (_KEPT, {}),
            "huge pages": ("zoo", _HUGE),
            "freed memory kept, huge pages": (_KEPT, _HUGE),
        },
    ),
    *(
        (f"UEGR step of {arch}, length 64: vectors", "as wide as it is", Case(arch, "uegr", 64), _WIDTH)
        for arch in TABLE_IV_ARCHS
    ),
]
