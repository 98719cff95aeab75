"""Cells as tasks of a Ray cluster: `--engine ray`. Results and networks come back; no disk need be shared.

A detached actor holds the grid (`zoo.grid.engines.owner`), so the command may die and be started again: it
finds the actor by the name of its results folder and goes on. Ctrl-C ends the grid, as it does locally.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from zoo.core.errors import UserError
from zoo.core.records import setting
from zoo.grid.engines.engine import Engine, missing
from zoo.grid.engines.follow import Stopped, alone, follow
from zoo.grid.engines.local import worker_variables
from zoo.grid.engines.owner import News, Owner, Sent
from zoo.grid.jobs import Job, Places, Send
from zoo.grid.store import Pending, Store, as_text
from zoo.grid.worker import settle

NAMESPACE = "uegr"
START = "one starts with: ray start --head"


@dataclass(frozen=True)
class Ray(Engine):
    """Tasks of a Ray cluster.

    Args:
        address: of the cluster, `host:port`; empty: RAY_ADDRESS, or the one that runs on this machine.
        cores: of each cell, whole or a part; a cell computes with one thread.
        gpus: of each cell on `--device cuda`; 0.25 puts four cells on a GPU.
        retries: of a cell whose worker was lost (killed, out of memory, its machine gone).
    """

    name: ClassVar[str] = "ray"
    elsewhere: ClassVar[bool] = True

    address: str = setting("")
    cores: float = setting(1.0, above=0)
    gpus: float = setting(1.0, above=0)
    retries: int = setting(3, low=0)

    def check(self, places: Places) -> None:
        """See `Engine.check`."""
        _connect(self.address)

    def device(self, asked: str) -> str:
        """A GPU where the cluster has one; what is asked for by name is taken at its word."""
        if asked != "auto":
            return asked
        return "cuda" if _connect(self.address).cluster_resources().get("GPU", 0) else "cpu"

    def slots(self, device: str, of_gpu: int) -> int:
        """As many as the cluster holds now, and at least one."""
        there = _connect(self.address).cluster_resources()
        most = there.get("CPU", 0) / self.cores
        return max(1, int(min(most, there.get("GPU", 0) / self.gpus) if device == "cuda" else most))

    def run(self, jobs: Sequence[Job], places: Places, workers: int, send: Send, pending: Pending) -> None:
        """See `Engine.run`."""
        if not pending:
            return
        if joint := next((job for job in jobs if job.together and job.id in pending), None):
            raise UserError(
                f"arch {joint.model}: one training gives several results, and a task of --engine ray one; "
                "expected --engine local or slurm"
            )
        ray, store = _connect(self.address), Store(places.out)
        with alone(store, self.name), _lost_cluster(ray):
            owner = self._owner(ray, places)

            def submit(cells: Sequence[Job]) -> None:
                ray.get(owner.submit.remote(list(cells), workers))

            def take(written: Sequence[str]) -> News:
                news: News = ray.get(owner.take.remote(list(written)))
                return news

            try:
                follow(jobs, store, submit, take, send, pending)
            except UserError as error:
                if isinstance(error, Stopped):
                    ray.kill(owner)
                raise  # the results cannot be written here: the grid keeps them for the next command
            except KeyboardInterrupt:
                ray.kill(owner)  # its tasks end with it
                raise
            ray.kill(owner)

    def _owner(self, ray: Any, places: Places) -> Any:
        """The actor of this folder: the one that an earlier command left, or a new one."""
        task = {"num_cpus": self.cores, "num_gpus": self.gpus if places.device == "cuda" else 0}
        kind = ray.remote(_Actor)
        return kind.options(
            name=_name(places.out), namespace=NAMESPACE, lifetime="detached", get_if_exists=True,
            num_cpus=0, max_concurrency=10_000, runtime_env={"env_vars": _variables(places)},
        ).remote(replace(places, out=Path(), resumes=False), os.getcwd(), task, self.retries)  # fmt: skip


class _Actor(Owner):
    """An owner that launches tasks of Ray."""

    def __init__(self, places: Places, folder: str, task: dict[str, Any], retries: int) -> None:
        import ray

        lost = ray.exceptions
        super().__init__(
            self._launch,
            (lost.WorkerCrashedError, lost.OutOfMemoryError, lost.NodeDiedError, lost.LocalRayletDiedError),
            retries,
        )
        variables = {"env_vars": _variables(places)}
        self.task = ray.remote(_run_cell).options(max_retries=0, runtime_env=variables, **task)
        self.arguments = (places, folder, ray.get_runtime_context().current_actor)

    async def _launch(self, job: Job) -> Sent:
        error, sent = await self.task.remote(job, *self.arguments)
        if error:
            raise UserError(error)
        found: Sent = sent
        return found


def _run_cell(job: Job, places: Places, folder: str, owner: Any) -> tuple[str, Sent]:
    """One cell, in a worker of the cluster: what stops all cells, or empty; and what it sends."""
    import torch

    torch.set_num_threads(1)
    with contextlib.suppress(OSError):  # relative names of files mean what they mean to the command
        os.chdir(folder)
    owner.tell.remote("start", job.id, {})

    def send(event: tuple[str, int, dict[str, Any]]) -> None:
        owner.tell.remote(event[0], job.id, event[2])

    with tempfile.TemporaryDirectory(prefix="uegr-cell-") as out:
        try:
            text = as_text(settle(job, replace(places, out=Path(out)), send, 0))
        except UserError as error:
            return f"{error} (on {socket.gethostname()})", Sent("", {})
        files = {str(p.relative_to(out)): p.read_bytes() for p in Path(out).rglob("*") if p.is_file()}
        return "", Sent(text, files)


def _connect(address: str) -> Any:
    """The library, connected to the cluster.

    Raises:
        UserError: it is not installed, or no cluster answers.
    """
    try:
        import ray
    except ImportError:
        raise missing("ray", "ray", "ray") from None
    if ray.is_initialized():
        return ray
    address = address or os.environ.get("RAY_ADDRESS", "")
    try:
        if address:  # the library itself would wait for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(
            address or "auto", namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR",
            configure_logging=False,
        )  # fmt: skip
    except Exception as error:
        where = f"--address {address}" if address else "--engine ray"
        said = str(error).strip().splitlines()
        raise UserError(
            f"{where}: no Ray cluster answers ({said[0] if said else type(error).__name__}); expected one, "
            f"{START}"
        ) from None
    return ray


@contextlib.contextmanager
def _lost_cluster(ray: Any) -> Iterator[None]:
    try:
        yield
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines()
        raise UserError(
            f"the cluster has lost the grid ({said[0] if said else type(error).__name__}); finished cells "
            "are kept, the same command again runs the rest"
        ) from None


def _variables(places: Places) -> dict[str, str]:
    """Variables of the workers: those of a local one, and where the command found its texts."""
    named = {name: os.environ[name] for name in ("UEGR_DATA", "UEGR_CACHE") if name in os.environ}
    return worker_variables(places) | named


def _name(out: Path) -> str:
    """The actor's name: that of a folder of this machine."""
    return "grid-" + hashlib.sha256(f"{socket.gethostname()}:{out.resolve()}".encode()).hexdigest()[:12]
