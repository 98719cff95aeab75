"""A folder of Hugging Face as tokeniser and classifier.

Index letters: n texts, B examples, T tokens, C outputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.core.errors import UserError
from zoo.pretrained.folders import config_of
from zoo.text.examples import Part
from zoo.text.normalise import SURROGATES

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Encoded:
    """n tokenised texts: for each argument of the model its rows of numbers; and their labels (n,)."""

    columns: dict[str, list[list[int]]]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row: (n,) int64."""
        return np.array([len(row) for row in self.columns["input_ids"]], np.int64)

    def take(self, rows: np.ndarray) -> Encoded:
        """The rows with these numbers, in this order."""
        return Encoded(
            {name: [own[i] for i in rows] for name, own in self.columns.items()}, self.labels[rows]
        )


class Encoder:
    """What a folder gives: its tokeniser at once, its model when asked for.

    Args:
        folder: as `zoo.pretrained.folders.folder_of` gives it.

    Raises:
        UserError: transformers is not installed, or cannot read the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokeniser: Any = _read(folder, "AutoTokenizer", "its tokeniser")
        if self.tokeniser.pad_token_id is None:
            raise UserError(f"{folder}: its tokeniser has no padding token; expected one")

    @cached_property
    def positions(self) -> int | None:
        """The longest text in tokens; None where the description names no bound.

        RoBERTa and its kin count from the padding's id on, so that they have some less than they say: their
        table of positions has a row for the padding, as BERT's has not.
        """
        said: int | None = config_of(self.folder).get("max_position_embeddings")
        if said is None:
            return None
        with quiet(), torch.device("meta"):  # layers without weights
            model = _untrained(self.folder, "AutoModel")
        tables = (own for name, own in model.named_modules() if "position" in name)
        padding = (own.padding_idx for own in tables if isinstance(own, nn.Embedding))
        return said - max((index + 1 for index in padding if index is not None), default=0)

    def encode(self, part: Part, max_length: int) -> Encoded:
        """Texts, or pairs of them, as at most `max_length` tokens each; of a pair the longer is cut first.

        Raises:
            UserError: `max_length` is more than the model has positions.
        """
        if self.positions and max_length > self.positions:
            raise UserError(
                f"max_length {max_length}: {self.folder.name} has {self.positions} positions; expected less"
            )
        if not len(part):
            return Encoded({"input_ids": []}, part.labels)  # a tokeniser takes no empty list
        # As `normalise` does it; a tokeniser takes no text that is not Unicode.
        texts, pairs = ([SURROGATES.sub(" ", text) for text in own] for own in (part.texts, part.pairs))
        found = self.tokeniser(texts, pairs or None, truncation=True, max_length=max_length, padding=False)
        return Encoded({name: list(found[name]) for name in found}, part.labels)

    def batch(self, encoded: Encoded, rows: Sequence[int] | np.ndarray, device: torch.device) -> Inputs:
        """The model's arguments for these rows, (B, T) int64 each, padded to the longest on its side."""
        longest = max(len(encoded.columns["input_ids"][i]) for i in rows)
        left = self.tokeniser.padding_side == "left"
        found = {}
        for name, own in encoded.columns.items():
            table = np.full((len(rows), longest), self._filler(name), np.int64)
            for line, i in zip(table, rows, strict=True):
                line[longest - len(own[i]) :] = own[i] if left else line[longest - len(own[i]) :]
                if not left:
                    line[: len(own[i])] = own[i]
            found[name] = torch.from_numpy(table).to(device)
        return found

    def _filler(self, name: str) -> int:
        fillers = {
            "input_ids": self.tokeniser.pad_token_id,
            "token_type_ids": self.tokeniser.pad_token_type_id,
        }
        return int(fillers.get(name, 0))

    def model(self, outputs: int, seed: int, pretrained: bool = True) -> nn.Module:
        """A classifier with C = `outputs` outputs (1: a score); a function of the folder and the seed.

        Raises:
            UserError: the folder has not all weights of the encoder, by their names and sizes.

        Args:
            seed: of the weights that the folder does not have: those of the head, or all. The caller's random
                state is left as it was.
            pretrained: from the folder's weights, or the same layers from random ones.
        """
        with torch.random.fork_rng(devices=[]), quiet():
            torch.default_generator.manual_seed(seed)  # `torch.manual_seed` also seeds what is not put back
            return _model(self.folder, outputs, pretrained)

    def trained_model(self, outputs: int) -> nn.Module:
        """The classifier of a folder that has all of its weights, those of the head too.

        Raises:
            UserError: it has not, or has another number of outputs.
        """
        model, found = _read(
            self.folder, "AutoModelForSequenceClassification", "a classifier",
            use_safetensors=True, dtype=torch.float32, output_loading_info=True,
        )  # fmt: skip
        if model.config.num_labels != outputs:
            raise UserError(f"{model.config.num_labels} outputs; expected {outputs}")
        if strange := sorted({*found["missing_keys"], *found["unexpected_keys"]}):
            raise UserError(f"weight {strange[0]} is missing or unknown")
        made: nn.Module = model.eval()
        return made


def _model(folder: Path, outputs: int, pretrained: bool) -> nn.Module:
    if pretrained:
        # A head of another size, as a model fine-tuned on another task has, is made anew.
        model, found = _read(
            folder, "AutoModelForSequenceClassification", "a classifier",
            num_labels=outputs, use_safetensors=True, ignore_mismatched_sizes=True, dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
        _check_whole(folder, model, found)
        own: nn.Module = model
        return own
    return _untrained(folder, "AutoModelForSequenceClassification", num_labels=outputs)


def _untrained(folder: Path, kind: str, **options: Any) -> nn.Module:
    """The layers that a folder describes, from random weights."""
    config = _read(folder, "AutoConfig", "its description", **options)
    import transformers

    made: nn.Module = getattr(transformers, kind).from_config(config, dtype=torch.float32)
    return made


def _check_whole(folder: Path, model: Any, found: Mapping[str, Any]) -> None:
    """Refuse a folder whose weights are not the encoder's: they would be random ones, without a word.

    A pooler is made anew like the head, as one that was trained to guess words has none.
    """
    names = [*found["missing_keys"], *(own[0] for own in found["mismatched_keys"])]
    inside = f"{model.base_model_prefix}."
    if strange := sorted(n for n in names if n.startswith(inside) and not n.startswith(f"{inside}pooler.")):
        raise UserError(
            f"{folder}: {len(strange)} weights of the encoder are not in its file, or of another size "
            f"({strange[0]}); expected a model as transformers saves it, or pretrained=off"
        )


def _read(folder: Path, kind: str, what: str, **options: Any) -> Any:
    try:
        import transformers
    except ImportError:
        raise UserError(f"{folder}: needs transformers; expected it: pip install 'uegr[hf]'") from None
    reader = getattr(transformers, kind)
    try:
        with quiet():
            return reader.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except Exception as error:  # transformers raises what its many readers do
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"{folder}: transformers cannot read {what} ({reason}); expected a model's folder"
        ) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' talk of heads that are made anew and of its bars."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
