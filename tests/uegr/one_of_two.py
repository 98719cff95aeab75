"""One of two processes of `test_ranks.py`: python one_of_two.py RANK FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import torch  # noqa: E402
from torch import distributed, nn  # noqa: E402

import uegr  # noqa: E402
from toys import Toy, batch, toy  # noqa: E402

STEPS = 3


class Spare(Toy):
    """A layer that the first process alone uses."""

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__(rate)
        self.spare = nn.Linear(6, 3)
        self.used = True

    def vectors_to_logits(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        own = super().vectors_to_logits(x, mask)
        return own + self.spare(self.inner(x).mean(1)) if self.used else own


def spare() -> Spare:
    torch.manual_seed(0)
    return Spare().double()


def recipe() -> uegr.Recipe:
    return uegr.recipe("r_at_su", epsilon_unit="absolute")


def trained(rank: int, folder: Path) -> None:
    """Twice: with dropout of its own, and without, on this process's half of each batch, in two parts."""
    store = f"file://{folder / 'store'}"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    kept = {}
    for name, model in (("dropout", toy(rate=0.3)), ("spare", spare())):
        both = nn.parallel.DistributedDataParallel(model)
        torch.manual_seed(10 + rank)  # masks of dropout differ, that of the update must not
        optimizer = torch.optim.SGD(both.parameters(), 0.5)
        method = uegr.attach(both, optimizer, "uegr" if name == "dropout" else recipe(), accumulate=2)
        if isinstance(model, Spare):
            model.used = rank == 0
        for step in range(STEPS):
            for part in range(2):
                method.backward(batch(4 * step + 2 * rank + part))
            optimizer.step()
            optimizer.zero_grad()
        kept[name] = model.state_dict()
    torch.save(kept | {"a part of a step": parts_of_steps(rank)}, folder / f"{rank}.pt")
    distributed.destroy_process_group()


def parts_of_steps(rank: int) -> dict[str, torch.Tensor | list[str]]:
    """Weights after ten batches in steps of four, twice: the last two are refused, dropped, then a step."""
    model = toy(rate=0.3)
    both = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(both.parameters(), 0.5)
    method = uegr.attach(both, optimizer, "dropout", accumulate=4)
    begun, said = model.inner.weight.detach().clone(), []
    for epoch in range(2):
        for number in range(1, 11):
            if epoch == 1 and number == 9:
                method.accumulate = 2
            method.backward(batch(100 * epoch + 10 * rank + number))
            if number % 4 == 0 or number == 10:
                try:
                    optimizer.step()
                except uegr.UserError as error:
                    said.append(str(error))
                optimizer.zero_grad()
    hooks = len(optimizer._optimizer_step_pre_hooks)
    method.remove()
    assert (hooks, len(optimizer._optimizer_step_pre_hooks)) == (1, 0)
    assert not torch.equal(begun, model.inner.weight)
    return {"weights": torch.cat([p.detach().flatten() for p in model.parameters()]), "said": said}


if __name__ == "__main__":
    torch.set_num_threads(1)
    trained(int(sys.argv[1]), Path(sys.argv[2]))
