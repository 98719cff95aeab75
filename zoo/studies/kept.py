"""Saved models examined one after the other (`zoo.robust`): on which texts, and what is kept of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from zoo.classifier.folder import MODEL
from zoo.classifier.network import Network, threads
from zoo.core.command import paced, say, status
from zoo.core.errors import UserError
from zoo.core.identity import canonical_json, plain
from zoo.core.names import is_pretrained
from zoo.evidence.measurements import Point, read_point
from zoo.robustness.examine import Material, examine, gathered
from zoo.robustness.settings import Robust
from zoo.robustness.target import target_of
from zoo.studies.measure import write_point
from zoo.text import (
    Part,
    RawCorpus,
    Rows,
    TextSettings,
    load_corpus,
    load_examples,
    load_texts,
    prepare,
)
from zoo.text.examples import choose_examples
from zoo.text.parts import Cuts
from zoo.text.settings import OwnTokens, resolve_cache_dir, resolve_data_dir
from zoo.text.sources.columns import Asked
from zoo.text.sources.find import find_source
from zoo.training.environment import machine, made_by, versions

MOST_SEEN = 0.5  # of the texts that a model is judged by: corpora have repeats, files of other rows have few


@dataclass(frozen=True)
class Sources:
    """Where texts come from.

    Args:
        data: labelled ones that no model was trained on: a name or a path. validation: further ones.
        like: the known corpus whose card names sets of another kind; empty: that of the data.
        asked: columns that the user named. folder, cache: of known corpora, and of what is fetched.
    """

    data: str
    validation: str | None = None
    like: str = ""
    asked: Asked = Asked()  # noqa: RUF009 (frozen)
    folder: Path | None = None
    cache: Path | None = None

    def read(self, name: str) -> RawCorpus:
        """The corpus of a name or path; raises `UserError` as `find_source`."""
        data, cache = resolve_data_dir(self.folder), resolve_cache_dir(self.cache)
        return find_source(name, self.asked, data, cache, status).read()


@dataclass(frozen=True)
class Kept:
    """One saved model. raw: the corpus of `sources.data`."""

    name: str
    path: Path
    network: Network
    sources: Sources
    raw: RawCorpus
    settings: Robust

    def point(self, out: Path | None) -> Point:
        """Its measurements; read where `out` has them, else made and written there.

        Raises:
            UserError: texts that the model cannot be judged by, or that it was trained on.
        """
        target = target_of(self.network)
        try:
            data, cache = resolve_data_dir(self.sources.folder), resolve_cache_dir(self.sources.cache)
            like = self.sources.like or self.raw.name
            material = gathered(like, self.parts, self.settings, data, cache, target)
            key = self._key(material)
            file = None if out is None else out / f"{self.path.resolve().name}-{key}.json"
            if file is not None and file.exists():
                say(f"{self.name}: measured already, {file}")
                return replace(read_point(file), variant=self.name)
            began, report = time.perf_counter(), paced(status)
            with threads(1):
                values = examine(target, material, self.settings, lambda line: report(f"{self.name}: {line}"))
        finally:
            status("")
            target.close()
        about = self.network.about
        facts = {
            "recipe": about.recipe, "settings": about.settings, "probe": self.settings.as_json(),
            "seconds": time.perf_counter() - began, "machine": asdict(machine(torch.device("cpu"))),
            "made_by": made_by(), "versions": versions(),
        }  # fmt: skip
        found = Point(key, self.name, self.raw.name, about.arch, about.seed, plain(values), plain(facts))
        if file is not None:
            write_point(file, found)
        return found

    @cached_property
    def parts(self) -> dict[str, Part]:
        """Test and validation texts in the classes of the model; those of a cell are its own parts.

        Raises:
            UserError: texts that the model cannot be judged by, or that it was trained on.
        """
        if not self.network.about.estimator:
            return self._parts_of_cell()
        own = self.raw.parts
        test = "test" if "test" in own else "train"
        self._refuse_seen(test)
        parts = {"test": self._part(self.raw, test)}
        if self.sources.validation:
            other = self.sources.read(self.sources.validation)
            parts["validation"] = self._part(other, next(iter(other.parts)))
        elif "validation" in own:
            parts["validation"] = self._part(self.raw, "validation")
        if self.network.seen is not None and "validation" in parts:
            # Those that chose its epoch are what a temperature is meant to be fitted on.
            texts = parts["validation"].texts
            if count := self.network.seen.count(texts, in_validation=False):
                say(f"{self.name}: temperature from {len(texts):,} texts, {count:,} of them trained on")
        return parts

    def _key(self, material: Material) -> str:
        """8 hex digits over the model, the settings and all texts: a set that was missing gives another."""
        parts = [("test", material.test), ("validation", material.validation)]
        parts += [(s.name, part) for s in material.shifts for part in (s.part, s.original)]
        own = [(name, p.texts, p.pairs, p.labels.tolist()) for name, p in parts if p is not None]
        whole = [self.settings.as_json(), own, dict(material.outside)]
        digest = hashlib.sha256((self.path / MODEL).read_bytes())
        digest.update(canonical_json(whole).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:8]

    def _parts_of_cell(self) -> dict[str, Part]:
        """A cell of a comparison was judged by a test part that its settings cut: the same, and no other."""
        where = (self.sources.data, self._text(), self.sources.folder, self.sources.cache)
        rows: Mapping[str, Rows | Part]
        if is_pretrained(self.network.about.arch):
            examples = load_examples(*where, status)
            fingerprint, rows = examples.fingerprint, examples.parts
        else:
            fingerprint, rows = load_corpus(*where, status).fingerprint, load_texts(*where)
        if fingerprint != self.network.about.data["fingerprint"]:
            raise UserError(
                f"{self.sources.data}: not the rows that {self.path} was made with; expected "
                f"{self.network.about.data['name']}, whose test part it has not seen"
            )
        whole = {
            part: Rows(rows[part].texts, list(rows[part].labels), rows[part].pairs)
            for part in ("train", "validation", "test")
        }
        return {part: self._part(replace(self.raw, parts=whole), part) for part in whole}

    def _refuse_seen(self, part: str) -> None:
        """Raise `UserError` where the model has seen half of the texts or more; say so where it has some."""
        if (seen := self.network.seen) is None:
            if part == "train":
                self._refuse_training_rows()
            return
        texts = self.raw.parts[part].texts
        if not (count := seen.count(texts)):
            return
        if count >= MOST_SEEN * len(texts):
            raise UserError(
                f"{self.sources.data}: {self.path} was trained on these rows, or its epoch chosen by them "
                f"({count:,} of {len(texts):,}); expected others"
            )
        say(f"{self.name}: has seen {count:,} of the {len(texts):,} texts in its training")

    def _refuse_training_rows(self) -> None:
        """Raise `UserError` where the one file of rows is, as a whole, what the model was fitted on.

        For folders of earlier versions, which say no more of its texts.
        """
        about = self.network.about
        cuts = Cuts(False, about.estimator.get("validation_fraction", 0.1))
        cut = choose_examples if is_pretrained(about.arch) else prepare
        try:
            same = cut(self.raw, self._text(), cuts=cuts).fingerprint == about.data["fingerprint"]
        except UserError:  # too few rows to have been trained on
            return
        if same:
            raise UserError(f"{self.sources.data}: {self.path} was trained on these rows; expected others")

    def _text(self) -> TextSettings:
        """How texts were chosen for it."""
        kind = OwnTokens if is_pretrained(self.network.about.arch) else TextSettings
        return kind.from_json(self.network.about.settings["text"])

    def _part(self, raw: RawCorpus, name: str) -> Part:
        rows, where = raw.parts[name], raw.where or raw.name
        if rows.pairs or not raw.labels:
            raise UserError(f"{where}: pairs or scores; expected single texts with a class")
        index = {str(label): i for i, label in enumerate(self.network.classes.tolist())}
        if strange := [label for label in raw.labels if label not in index]:
            shown = ", ".join(list(index)[:6])
            raise UserError(f"{where}: label {strange[0]!r} is unknown; {self.path} has {shown}")
        of = np.array([index[label] for label in raw.labels])
        return Part(list(rows.texts), [], of[np.array(rows.labels, np.int64)])
