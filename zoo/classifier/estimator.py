"""`TextClassifier`: a cell of the comparison as an estimator of scikit-learn, to be kept and used."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from zoo.classifier.arguments import (
    arguments_of,
    cell_settings,
    device_of,
    language_of,
    seed_of,
    share,
    threads_of,
)
from zoo.classifier.families import Order
from zoo.classifier.folder import check_place
from zoo.classifier.inputs import InputError, labels_of, texts_of
from zoo.classifier.network import Network, family_of, threads
from zoo.classifier.seen import Seen
from zoo.core.command import duration, status
from zoo.core.errors import UserError
from zoo.text import RawCorpus, Rows
from zoo.text.parts import Cuts
from zoo.text.settings import silent
from zoo.text.sources.rows import guess_language
from zoo.training.settings import CellFailed
from zoo.training.turns import Turns


class TextClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of texts, trained by any recipe as a cell of the comparison is.

    The training is that of `zoo.training`; the best epoch on a validation part, held out of the given rows
    class by class, is kept. An argument that is None has the value of the preset.

    Args:
        arch: the model: "textcnn", "bilstm", "texthan" or "han"; or one of Hugging Face, "hf:FOLDER",
            "hf:OWNER/NAME" of the hub, or "hf:minilm" (`uegr[hf-demo]`).
        recipe: the training method: "uegr", "dropout", "r_at" and the others of `uegr.RECIPES`.
        preset: sizes and training, as `python -m zoo.ablate --list` has them: "full", "slices", "paper", ...;
            "auto" (default): "full", at a larger learning rate where the texts are few.
        recipe_preset: settings of recipes that belong together: "default", "paper", ...; the same list.
        epochs: at most so many (None: 10 by default).
        batch_size: texts a step (None: 32 by default; 16 with Hugging Face's).
        learning_rate: of AdamW (None: by default 0.003, and 0.001 from 20,000 texts on; 2e-5 with Hugging
            Face's, of which a small one learns faster at 1e-4).
        patience: stop when the best epoch is so many old; 0: never (None: 3 by default).
        vectors: first word vectors: "random", "word2vec", "glove" or a file (None: "random").
        tokeniser: "words", "jieba" or "characters" (None: words, or jieba for Chinese).
        language: "en", "zh", or "auto" (default), which looks at the letters of the texts.
        max_length: tokens at which a text is cut (None: 256 by default).
        validation_fraction: share of the rows that is held out to choose the epoch by, at most 5,000 rows; 0:
            none, and the last epoch is kept.
        settings: any other setting by its name, as `--set` takes it: {"alpha": 4.0, "max_vocabulary": 5000}.
        random_state: a number, a NumPy generator, or None for NumPy's own; decides split, weights, batches
            and masks. 0 by default: two fits are the same.
        device: "cpu", "cuda", or "auto" (default): cuda if there is one.
        n_jobs: threads of torch; None (default): 1, with which a fit repeats bit for bit; -1: one a core.
        verbose: 1 prints progress on standard error; 0 (default) nothing.

    Attributes:
        classes_: (C,) the labels, sorted. network_: what is saved (`zoo.classifier.network.Network`).
        validation_accuracy_: of the kept epoch, or None. curve_: an entry an epoch. best_epoch_: from 1.
    """

    def __init__(
        self,
        arch: str = "textcnn",
        recipe: str = "uegr",
        *,
        preset: str = "auto",
        recipe_preset: str = "default",
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        patience: int | None = None,
        vectors: str | None = None,
        tokeniser: str | None = None,
        language: str = "auto",
        max_length: int | None = None,
        validation_fraction: float = 0.1,
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.arch = arch
        self.recipe = recipe
        self.preset = preset
        self.recipe_preset = recipe_preset
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.vectors = vectors
        self.tokeniser = tokeniser
        self.language = language
        self.max_length = max_length
        self.validation_fraction = validation_fraction
        self.settings = settings
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    # --- training -----------------------------------------------------------------------------------------

    def fit(self, X: Iterable[str], y: Iterable[Any]) -> Self:
        """Train on texts X (n,) and their labels y (n,), strings or whole numbers.

        Raises:
            UserError: (a ValueError too) no texts, no classes, or an argument out of its bounds.
        """
        texts, labels = texts_of(X), labels_of(y)
        if len(texts) != len(labels):
            raise InputError(f"{len(texts)} texts and {len(labels)} labels; expected one label a text")
        classes, index = np.unique(labels, return_inverse=True)
        rows = Rows(texts, index.tolist())
        language = guess_language(texts)
        corpus = RawCorpus("texts", language, tuple(map(str, classes.tolist())), {"train": rows})
        return self._fit(corpus, classes)

    def fit_corpus(self, corpus: RawCorpus, turns: Turns | None = None) -> Self:
        """Train on what `zoo.text` has read: its parts as they are, the classes by its names.

        A validation part is cut from the training part where there is none; a test part is not looked at.

        Args:
            turns: where the state is kept while it trains, to go on from in another call; None: nowhere.

        Raises:
            OutOfTime: the turn was too short.
            UserError: as `fit`.
        """
        return self._fit(corpus, np.array(corpus.labels), turns)

    def _fit(self, raw: RawCorpus, classes: np.ndarray, turns: Turns | None = None) -> Self:
        if len(raw.labels) < 2:
            raise InputError(f"every label is {raw.labels[0]!r}: one class; expected at least two classes")
        if language_of(self.language) != "auto":
            raw = replace(raw, language=self.language)
        say = status if self.verbose else silent
        seed, device, given = seed_of(self.random_state), device_of(self.device), self.get_params(deep=False)
        cuts = Cuts(test=False, validation=share(self.validation_fraction))
        try:
            settings = cell_settings(given, len(raw.parts["train"]), seed)
            with threads(threads_of(self.n_jobs)):
                told = _Told(say)
                own = turns and replace(turns, resumed=told.resumed)
                order = Order(self.arch, self.recipe, seed, settings, raw, cuts, device, say, told, own)
                made = family_of(self.arch).train(order)
        except (CellFailed, MemoryError) as error:
            reason = error or "out of memory"
            raise InputError(f"the training failed: {reason}; expected other settings") from None
        except UserError as error:
            raise InputError(str(error)) from None
        finally:
            say("")
        seen = Seen.of(raw, settings.text, cuts)  # type: ignore[arg-type]
        self._take(Network.of(made, self.recipe, classes, {**given, "random_state": seed}, seen))
        return self

    def _take(self, network: Network) -> None:
        self.network_, self.classes_ = network, network.classes
        self.validation_accuracy_ = network.about.validation_accuracy
        self.best_epoch_, self.curve_ = network.about.best_epoch, network.about.curve

    # --- prediction ---------------------------------------------------------------------------------------

    def predict_proba(self, X: Iterable[str]) -> np.ndarray:
        """(n, C) probabilities of the classes in the order of `classes_`; rows sum to 1.

        Raises:
            NotFittedError: not trained yet.
            UserError: (a ValueError too) X are no texts.
        """
        check_is_fitted(self)
        with threads(threads_of(self.n_jobs)):
            return self.network_.probabilities(texts_of(X), device_of(self.device))

    def predict(self, X: Iterable[str]) -> np.ndarray:
        """(n,) the most probable class of each text; see `predict_proba`."""
        probabilities = self.predict_proba(X)
        found: np.ndarray = self.classes_[probabilities.argmax(1)]
        return found

    # --- keeping ------------------------------------------------------------------------------------------

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write `folder`: `model.json` and the files that it names; a model that it holds is replaced.

        Raises:
            NotFittedError: not trained yet.
            UserError: the folder holds something else, or cannot be written.
        """
        check_is_fitted(self)
        path = Path(folder).expanduser()
        check_place(path)
        self.network_.save(path)
        return path

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Self:
        """The classifier of a folder that `save`, `zoo.fit` or `zoo.ablate --save-models` wrote.

        Raises:
            UserError: no such folder, a foreign or damaged one, or one of a newer version.

        Warns:
            UserWarning: the tokeniser here cuts texts otherwise than the one of the training.
        """
        network, notes = Network.load(Path(folder).expanduser())
        for note in notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        made = cls(**(network.about.estimator or arguments_of(network.about)))
        made._take(network)
        return made

    def __sklearn_tags__(self) -> Tags:
        """A classifier of strings, one a row."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


class _Told:
    """A line an epoch, and now and then one in a long epoch, with the time to the end."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.began, self.before = say, perf_counter(), 0.0

    def resumed(self, share: float) -> None:
        """So much has been done before."""
        self.began, self.before = perf_counter(), share
        self.say(f"goes on at {100 * share:.0f} % of the training")

    def __call__(self, share: float, entry: Mapping[str, Any]) -> None:
        """So much is done now."""
        left = (perf_counter() - self.began) * (1 - share) / (share - self.before)
        what = f"{100 * share:.0f} % of the training done"
        if entry:
            score = entry.get("validation_accuracy")
            said = "" if score is None else f", validation {100 * score:.1f} %"
            what = f"epoch {entry['epoch']}: loss {entry['loss']:.3f}{said}"
        self.say(what + (f", {duration(left)} left" if left else ""))
