"""Several trainings at once, in processes, lanes or as one model: steps a second that they make in all."""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import TYPE_CHECKING, Any

from bench.cases import Case
from zoo.core.processes import environment

if TYPE_CHECKING:
    import torch

    from bench.replayed import MakeRecorder

WARM_UP = 6


def steps_a_second(case: Case, workers: int, threads: int, steps: int, device: str = "cpu") -> float:
    """Steps a second of `workers` processes together, all starting at the same moment (wall time)."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(workers), context.Queue()
    with environment({"OMP_NUM_THREADS": str(threads)}):  # read by the children when they load torch
        processes = [
            context.Process(target=_train, args=(case, threads, steps, device, barrier, results), daemon=True)
            for _ in range(workers)
        ]
        for process in processes:
            process.start()
    spans = [_answer(results, processes) for _ in processes]
    for process in processes:
        process.join()
    return workers * steps / max(spans)


def _answer(results: Any, processes: list[Any]) -> float:
    """The next worker's seconds; RuntimeError where a worker has died."""
    while results.empty():
        if any(process.exitcode not in (None, 0) for process in processes):
            for process in processes:
                process.terminate()
            raise RuntimeError("a process of the measurement ended early (out of memory?)")
        time.sleep(0.05)
    seconds: float = results.get()
    return seconds


def _train(case: Case, threads: int, steps: int, device: str, barrier: Any, results: Any) -> None:
    import torch

    from bench.cases import Feed, make_trainee
    from zoo.fast.memory import keep_freed_memory
    from zoo.method.step import train_step

    torch.set_num_threads(threads)
    if device != "cpu":
        from bench.replayed import Replayed

        replayed = Replayed(case, torch.device(device), record=True)
        replayed.run(WARM_UP)
        barrier.wait()
        results.put(replayed.run(steps))
        return
    keep_freed_memory()
    torch.set_flush_denormal(True)
    (trainee, optimizer), feed = make_trainee(case), Feed(case)
    for _ in range(WARM_UP):
        train_step(trainee, feed(), optimizer)
    barrier.wait()
    began = time.perf_counter()
    for _ in range(steps):
        train_step(trainee, feed(), optimizer)
    results.put(time.perf_counter() - began)


def lane_steps_a_second(
    case: Case, lanes: int, steps: int, device: torch.device, recorder: MakeRecorder | None = None
) -> float:
    """The same of so many lanes of this process (`zoo.training.lanes`), whose steps are replayed."""
    from bench.replayed import Replayed
    from zoo.training.graphs import CudaRecorder
    from zoo.training.lanes import aside, run_lanes

    ready, marks = threading.Barrier(lanes), list[float]()

    def lane() -> None:
        replayed = Replayed(case, device, True, recorder or CudaRecorder)
        replayed.run(WARM_UP)
        with aside():
            ready.wait()
        marks.append(time.perf_counter())
        replayed.run(steps)
        marks.append(time.perf_counter())

    run_lanes(lanes, lane, device)
    return lanes * steps / (max(marks) - min(marks))


def stacked_steps_a_second(
    case: Case, seeds: int, steps: int, device: torch.device, recorder: MakeRecorder | None = None
) -> float:
    """The same of so many seeds as one model (`zoo.training.seeds`): a step of it is one of each."""
    from bench.replayed import Replayed
    from zoo.training.graphs import CudaRecorder

    replayed = Replayed(case, device, True, recorder or CudaRecorder, seeds)
    replayed.run(WARM_UP)
    return seeds * steps / replayed.run(steps)
