"""The paper's claims, a record each: what it says and where, and which numbers would answer it.

What is held against the numbers is fixed here, before any are read: the quantity, the bound that it must pass
and on which side. `zoo.evidence.judged` takes a folder's results and applies one rule to all of them. A bound
that the paper does not name is ours and is said in the claim's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.core.names import display
from zoo.evidence.statements import ACCURACY, ATTACKED

__all__ = ["CLAIMS", "Claim", "Measured", "Pair", "Variants"]

Value = Callable[[Mapping[str, Any]], float | None]  # None: not measured


@dataclass(frozen=True)
class Pair:
    """Two recipes of a grid: the mean over its corpora and models of the paired difference in `measure`.

    Args:
        measure: a row's name; unit: fractions of 1.
        pretrained: in models of Hugging Face alone, or else in all others.
    """

    recipe: str
    reference: str
    measure: str = ACCURACY
    pretrained: bool = False

    @property
    def what(self) -> str:
        """The quantity in words."""
        where = "test accuracy under FGSM" if self.measure == ATTACKED else "test accuracy"
        return f"{where}, {display(self.recipe)} minus {display(self.reference)}"

    @property
    def command(self) -> str:
        """What runs the networks that answer it."""
        if self.pretrained:
            return _study("glue")
        recipes = f"--recipe {self.reference} {self.recipe}"
        return f"python -m zoo.ablate --preset full --arch bilstm textcnn texthan {recipes} --data-dir DIR"


@dataclass(frozen=True)
class Variants:
    """Two variants of a question (`zoo.evidence.questions`), compared as a `Pair` is, by test accuracy."""

    study: str
    variant: str
    reference: str

    @property
    def what(self) -> str:
        """The quantity in words."""
        return f"test accuracy, {self.variant} minus {self.reference}"

    @property
    def command(self) -> str:
        """What runs the networks that answer it."""
        return _study(self.study)


@dataclass(frozen=True)
class Measured:
    """A number of every network of a measurement (`zoo.evidence.measurements`), and its mean over them.

    Args:
        value: from the values of a network's file; unit: that of the claim.
        variant, reference: the paired difference of the two; without a reference the number itself.
    """

    study: str
    value: Value
    quantity: str
    variant: str
    reference: str = ""

    @property
    def what(self) -> str:
        """The quantity in words."""
        between = f"{self.variant} minus {self.reference}" if self.reference else self.variant
        return f"{self.quantity}, {between}"

    @property
    def command(self) -> str:
        """What trains and measures the networks that answer it."""
        return _study(self.study)


def _study(name: str) -> str:
    return f"python -m zoo.study {name} --data-dir DIR --out results/{name}"


@dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        text: in plain words, true or false of the quantity and its bound.
        source: where the paper says it.
        evidence: the quantity. It must lie above `bound`, or with `below` under it.
        scale, unit: of print; the bound and all estimates are unscaled.
        printed: the paper's own number where it prints one that is not in its Table IV.
    """

    text: str
    source: str
    evidence: Pair | Variants | Measured
    bound: float = 0.0
    below: bool = False
    scale: float = 1.0
    unit: str = ""
    printed: float | None = None


def _points(text: str, source: str, evidence: Pair | Variants, **options: Any) -> Claim:
    return Claim(text, source, evidence, scale=100.0, unit="points", **options)


# The strength of the attack that the measured networks were trained with, in RMS of the word vectors.
_TRAINED_WITH = 0.05
UEGR, PLAIN, NO_MASK = display("uegr"), display("dropout"), display("uegr_no_mask")


def _lost(values: Mapping[str, Any]) -> float | None:
    """What PGD of the training's strength costs, in fractions of 1."""
    by_strength = dict(zip(values["strengths"], values["pgd"], strict=True))
    return values["accuracy"] - by_strength[_TRAINED_WITH] if _TRAINED_WITH in by_strength else None


def _from_start(values: Mapping[str, Any]) -> float | None:
    """Linear CKA to the initial network: the mean over layers and epochs; a dead layer has none."""
    found = [value for own in values["cka"].values() for value in own[1:]]
    return None if None in found else float(sum(found) / len(found))


def _left_under(place: str) -> Value:
    """How far the length of the mean masked walk is from the unmasked one's, as a share of it."""
    return lambda values: float(abs(values["adamw"][place]["slope"] - 1))


def _variance(values: Mapping[str, Any]) -> float:
    """Variance of the masked gradient over the unmasked one's, between word vectors and classifier."""
    mask = values["trained"]["mask"]["inside"]
    return float(mask["measured"] / mask["unmasked"])


def _off_penalty(values: Mapping[str, Any]) -> float:
    """How far the attack's gain is from the gradient penalty, as a share of it."""
    penalty = values["trained"]["penalty"]
    return float(abs(penalty["fgsm"]["gain"][penalty["strengths"].index(_TRAINED_WITH)] - 1))


def _across(values: Mapping[str, Any]) -> float:
    return float(values["trained"]["penalty"]["fgsm"]["across"])


_IV, _III = "Table IV", "Table III"
_CONTROLS = "controls"

CLAIMS: tuple[Claim, ...] = (
    _points("UEGR is more accurate than training with dropout alone.", _IV, Pair("uegr", "dropout")),
    _points("UEGR is more accurate than adversarial training (AT).", _IV, Pair("uegr", "at")),
    _points("UEGR is more accurate than R-Drop.", _IV, Pair("uegr", "r_drop")),
    _points("UEGR is more accurate than R-AT.", _IV, Pair("uegr", "r_at")),
    _points(
        "JS divergence and adaptive dropout add accuracy: UEGR is above R-AT-SU.",
        f"{_IV}, Section IV-A", Pair("uegr", "r_at_su"),
    ),
    _points(
        "The selective update adds accuracy: R-AT-SU is above R-AT.",
        f"{_IV}, Section IV-B", Pair("r_at_su", "r_at"),
    ),
    _points("Two dropout passes add accuracy to AT: R-AT is above AT.", _IV, Pair("r_at", "at")),
    _points("AT is more accurate than dropout alone.", _IV, Pair("at", "dropout")),
    _points("R-Drop is more accurate than dropout alone.", _IV, Pair("r_drop", "dropout")),
    _points(
        "Inside UEGR the selective update adds accuracy.", "Section IV-B",
        Variants(_CONTROLS, UEGR, NO_MASK),
    ),
    _points(
        "Inside UEGR adaptive dropout adds accuracy over uniform dropout.", "Sections IV-A and V-A",
        Variants(_CONTROLS, UEGR, display("uegr_uniform")),
    ),
    _points(
        "Inside UEGR the JS divergence adds accuracy.", "Section IV-A, Eq. 4",
        Variants(_CONTROLS, UEGR, display("uegr_no_js")),
    ),
    _points(
        "Fine-tuning a pre-trained model with UEGR is more accurate than plain fine-tuning.",
        "Tables I and II", Pair("uegr", "dropout", pretrained=True),
    ),
    _points(
        "UEGR is more robust to an attack by FGSM than dropout alone.",
        f"Abstract, {_III} (there for pre-trained models)", Pair("uegr", "dropout", ATTACKED),
    ),
    _points(
        "The selective update makes more robust: R-AT-SU is above R-AT under FGSM.", "Section IV-B",
        Pair("r_at_su", "r_at", ATTACKED),
    ),
    _points(
        "Fine-tuning a pre-trained model with UEGR is more robust to FGSM than plain fine-tuning.", _III,
        Pair("uegr", "dropout", ATTACKED, pretrained=True),
    ),
    _points(
        "Fine-tuning a pre-trained model with UEGR is more robust to FGSM than AdvWeight (SAM).", _III,
        Pair("uegr", "sam", ATTACKED, pretrained=True),
    ),
    Claim(
        "A medium attack costs UEGR less accuracy than a network with dropout alone.", "Fig. 2b",
        Measured("drop", _lost, "accuracy lost to PGD", UEGR, PLAIN), 0.0, True, 100.0, "points",
    ),
    Claim(
        "The selective update keeps a network nearer to where it began.", "Fig. 2a",
        Measured("drift", _from_start, "CKA to the initial network", UEGR, NO_MASK),
    ),
    Claim(
        "UEGR finds flatter minima than dropout alone.", "Sections V-A and V-B",
        Measured("sharpness", lambda v: float(v["top"]), "largest Hessian eigenvalue", UEGR, PLAIN),
        below=True,
    ),
    Claim(
        "The selective update itself makes minima flatter.", "Sections V-A and V-B",
        Measured("sharpness", lambda v: float(v["top"]), "largest Hessian eigenvalue", UEGR, NO_MASK),
        below=True,
    ),
    Claim(
        "The masked update is unbiased under SGD: its mean walk is as long as the unmasked one to 5 %.",
        "Theorem 1, Eq. 15 to 17",
        Measured("theory", _left_under("sgd"), "share by which the length is off", UEGR), 0.05, True,
    ),
    Claim(
        "The masked update is unbiased under AdamW too, which the paper trains with: as long to 5 %.",
        "Theorem 1, Section VI",
        Measured("theory", _left_under("gradient"), "share by which the length is off", UEGR), 0.05, True,
    ),
    Claim(
        "The masked gradient varies less than the unmasked one.", "Text on Theorem 1",
        Measured("theory", _variance, "variance over the unmasked one", UEGR), 1.0, True,
    ),
    Claim(
        "The adversarial loss is the clean one and a gradient penalty: what the attack gains is the penalty "
        "to 10 %.", "Section V-A, Eq. 14",
        Measured("theory", _off_penalty, "share by which the gain is off", UEGR), 0.1, True,
    ),
    Claim(
        "One vector may stand for all dropout masks: an attack made under one gains 90 % of the most under "
        "another.", "Section V-A, before Eq. 13",
        Measured("theory", _across, "gain over the most possible", UEGR), 0.9,
    ),
    _points(
        "More than two adversarial passes gain little: K = 5 is less than 0.5 points above K = 2.",
        "Table V", Variants("k", "UEGR, K = 5", "UEGR, K = 2"), bound=0.005, below=True,
        printed=0.0003,
    ),
    _points(
        "Very high drop rates hurt: 0.9 in both passes is below 0.2 in both.", "Fig. 3",
        Variants("dropout-grid", "0.9, 0.9", "0.2, 0.2"), below=True,
    ),
)  # fmt: skip
