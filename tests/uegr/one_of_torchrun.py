"""One process of `test_torchrun.py`: torchrun --nproc-per-node 2 one_of_torchrun.py FOLDER.

Rows come in their order, so that step s of two processes with batches of 2 has the rows of step s of one with
batches of 4.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import torch  # noqa: E402
import transformers  # noqa: E402
from torch import Tensor, distributed, nn  # noqa: E402

import uegr  # noqa: E402
import uegr.hf  # noqa: E402
from bench.tiny_families import texts, tiny  # noqa: E402

ROWS, STEPS = 16, 4


class Ordered(uegr.hf.Trainer):
    def _get_train_sampler(self, *_: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class Counted(transformers.TrainerCallback):
    """Counts what is reduced: by us, of gradients alone, and by DistributedDataParallel's own reducer."""

    def __init__(self) -> None:
        self.ours = self.torchs = 0
        self.trainer: Any = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        model = self.trainer.model_wrapped
        if state.global_step or not isinstance(model, nn.parallel.DistributedDataParallel):
            return

        model.register_comm_hook(None, lambda _, bucket: self._passed_on(bucket))
        reduce = distributed.all_reduce

        def all_reduce(tensor: Tensor, *rest: Any, **options: Any) -> Any:
            self.ours += tensor.is_floating_point() and tensor.numel() > 1
            return reduce(tensor, *rest, **options)

        distributed.all_reduce = all_reduce

    def _passed_on(self, bucket: Any) -> Any:
        self.torchs += 1
        done: Any = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done


def recipe(name: str) -> uegr.Recipe:
    """With an absolute unit of the attack: a relative one is that of each process."""
    return (
        uegr.recipe("r_at_su", epsilon_unit="absolute") if name == "without dropout" else uegr.recipe("uegr")
    )


def model_of(name: str) -> nn.Module:
    model = tiny("bert", num_hidden_layers=1, attention_probs_dropout_prob=0.0)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0 if name == "without dropout" else 0.2
    return model


def trained(name: str, folder: Path, size: int, accumulate: int) -> dict[str, Any]:
    """Weights, what was reduced, and the logged record of each step."""
    batch = texts("bert", rows=ROWS)
    rows = [{key: value[i] for key, value in batch.items()} for i in range(ROWS)]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "out"), per_device_train_batch_size=size, learning_rate=0.01,
        gradient_accumulation_steps=accumulate, max_grad_norm=0.05, lr_scheduler_type="constant",
        num_train_epochs=1, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, seed=3,
        logging_steps=1, logging_nan_inf_filter=False, optim="sgd", ddp_find_unused_parameters=False,
    )  # fmt: skip
    counted = Counted()
    trainer = Ordered(model_of(name), arguments, train_dataset=rows, recipe=recipe(name), callbacks=[counted])
    counted.trainer = trainer
    trainer.train()
    kept = [log["uegr/kept_share"] for log in trainer.state.log_history if "uegr/kept_share" in log]
    return {
        "weights": dict(trainer.model.state_dict()), "ours": counted.ours, "torchs": counted.torchs,
        "kept": kept, "steps": trainer.state.global_step,
    }  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, rank = Path(sys.argv[1]), 0
    found = {}
    for case, (size, parts) in {"without dropout": (2, 1), "uegr": (2, 2)}.items():
        found[case] = trained(case, place, size, parts)
        rank = distributed.get_rank()
    torch.save(found, place / f"{rank}.pt")
    distributed.destroy_process_group()
