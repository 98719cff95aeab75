"""How the methods of a grid are read, in a sentence with links, by their settings."""

from __future__ import annotations

from typing import Any

from zoo.evidence.cells import Cells
from zoo.evidence.settings import by_name

__all__ = ["reading"]

# By kind and unit of the attack and the place of the mask, the presets `default` and `paper` of recipes.
_READINGS: dict[tuple[Any, ...], str] = {
    ("fgm", "norm", "update"): (
        "The methods here are read as our default has it (an attack of one norm a text, the mask on AdamW's "
        "update: [why]({docs}decisions.md#the-default)), and not as the preset `paper` (an attack by sign, "
        "the mask on the gradient), which is that of "
        "[a tenth of the data]({docs}results/a-tenth-of-the-data.md)."
    ),
    ("fgsm", "rms", "gradient"): (
        "The methods here are read as the preset `paper` has it (an attack by sign, the mask on the "
        "gradient), and not as [our default]({docs}decisions.md#the-default)."
    ),
}


def reading(cells: Cells, docs: str = "") -> list[str]:
    """How the methods are read, in Markdown; nothing where they are read in several ways or in another.

    Args:
        docs: the path to docs/ from where it will stand.
    """
    settings = [by_name(result.settings) for result in cells.done(networks=True)]
    attacks = {(own.get("attack"), own.get("epsilon_unit")) for own in settings if own.get("adversarial")}
    masks = {own["mask_on"] for own in settings if "mask_on" in own}
    if len(attacks) != 1 or len(masks) != 1:
        return []
    known = _READINGS.get((*attacks.pop(), masks.pop()))
    return [known.format(docs=docs)] if known else []
