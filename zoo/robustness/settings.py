"""How a network is examined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.core.errors import UserError
from zoo.core.records import Settings, setting

# Corpora whose texts are held against a network's own; those of its language, and of another task.
OUTSIDE = ("ag_news", "glue_qqp", "imdb", "glue_sst2", "tnews", "iflytek")


@dataclass(frozen=True)
class Robust(Settings):
    """Sizes and strengths; the same texts for every network of a corpus.

    Calibration is measured on the whole test part. `neighbours` says whose vectors near words are looked up
    in: the network's `own`, `e5`, `glove`, a file of vectors, or `none` for no such attack.
    """

    what: ClassVar[str] = "measurement setting"

    rows: int = setting(200, low=1)  # test texts under attacks on their vectors
    strengths: tuple[float, ...] = setting((0.025, 0.05, 0.1, 0.2), above=0)  # fgsm, pgd: RMS of the vectors
    norms: tuple[float, ...] = setting((0.25, 0.5, 1.0, 2.0), above=0)  # fgm: norms of a word vector
    pgd_steps: int = setting(10, low=2, high=1_000)
    text_rows: int = setting(100, low=1)  # test texts whose words are edited
    queries: int = setting(200, low=4)  # of one text
    share: float = setting(0.2, above=0, high=1)  # of a text's words that may be edited
    neighbours: str = setting("own")
    near: int = setting(8, low=1)  # neighbours of a word
    similarity: float = setting(0.5, low=-1, high=1)  # their least cosine
    seed: int = setting(0, low=0)  # of the edits
    other_rows: int = setting(1_000, low=1)  # texts of each other set
    outside: tuple[str, ...] = setting(OUTSIDE)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("strengths", "norms"):
            # A curve over them has an area, and a check that the loss rises from one to the next.
            if not (own := getattr(self, name)) or list(own) != sorted(set(own)):
                raise UserError(f"{self.what} {name}={own}: expected at least one, each above the one before")
