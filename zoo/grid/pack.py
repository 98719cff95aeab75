"""A grid to take along: its corpora as numbers, its word vectors, its study, in one folder.

For a machine without the texts, a registry, or what cuts texts and trains vectors. Cells have the names that
they have here, so what is made there is put into a folder of here by copying (`zoo.ablate merge`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.core.errors import UserError, writing
from zoo.core.names import is_pretrained
from zoo.grid.jobs import Job, Places
from zoo.grid.plan import Grid
from zoo.text import load_corpus, load_vectors
from zoo.text.prepared import write_prepared
from zoo.text.settings import Report
from zoo.text.vectors import kept_vectors
from zoo.training.cell import member_seeds
from zoo.training.settings import CellSettings

DATA, CACHE = "data", "cache"  # folders of the pack


@dataclass(frozen=True)
class Packed:
    """What was put into the folder: files with their bytes."""

    files: dict[str, int]

    @property
    def megabytes(self) -> float:
        """All together, in MiB."""
        return sum(self.files.values()) / 2**20


def check_packable(study: Grid) -> None:
    """See that the study can be packed, before anything is prepared.

    Raises:
        UserError: models that read texts, corpora or vectors named by a path.
    """
    for arch in study.archs:
        if is_pretrained(arch):
            raise UserError(f"pack: {arch} reads texts, not numbers; expected models of the zoo")
    for corpus in study.corpora:
        if Path(corpus).name != corpus:
            raise UserError(f"pack: corpus {corpus} is a path; expected a name in the data folder")


def pack(study: Grid, jobs: Sequence[Job], places: Places, folder: Path, report: Report) -> Packed:
    """Write what the cells of a study read; what is in the folder already is written again.

    Raises:
        UserError: something cannot be written, or vectors come from a file of the user's.
    """
    written: list[Path] = []
    for source in study.corpora:
        for fold in range(max(1, study.folds)):
            text = study.text(source, fold)
            corpus = load_corpus(source, text, places.data, places.cache, report)
            written.append(write_prepared(folder / DATA, source, text, corpus))
            own = [job for job in jobs if job.corpus.fingerprint == corpus.fingerprint]
            for job in own:
                settings = job.settings
                if not isinstance(settings, CellSettings) or settings.train.vectors in ("random", "none"):
                    continue
                if settings.train.vectors_file is not None:
                    raise UserError(
                        f"pack: vectors {settings.train.vectors} are a file; expected one of those by name"
                    )
                size: int = settings.model.embedding  # type: ignore[attr-defined]
                for seed in member_seeds(job.cell.seed, settings):
                    asked = (settings.train.vectors, corpus, size, seed)
                    target = kept_vectors(*asked, folder / CACHE)
                    if target not in written:
                        load_vectors(*asked, cache_dir=places.cache, report=report)
                        with writing(target):
                            target.parent.mkdir(parents=True, exist_ok=True)
                            shutil.copyfile(kept_vectors(*asked, places.cache), target)
                        written.append(target)
    return Packed({str(path.relative_to(folder)): path.stat().st_size for path in written})
