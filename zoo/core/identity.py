"""The name of a cell: it changes when, and only when, something changes that the cell reads.

    <corpus>-<arch>-<recipe>-s<seed>[-f<fold>]-<hash8>

The hash is over the schema number, the cell's own names, what its settings name (`Settings.named`, part by
part) and the fingerprint of its data. A field that the cell does not read does not enter it, nor does one
that has the value it was introduced with; so a new field moves no name, and a BiLSTM is not named by the
lines of a HAN.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any

SCHEMA = 2  # 1 hashed every field of every record


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal content gives equal text, in every process.

    Tuples become lists, numpy scalars Python numbers, paths text, NaN and the infinities null.
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def short_hash(value: Any, digits: int = 8) -> str:
    """So many hex digits that tell one content from another, the same in every process."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:digits]


def cell_id(cell: Mapping[str, Any], named: Mapping[str, Any], fingerprint: str) -> str:
    """The name of a cell.

    Args:
        cell: `corpus`, `arch`, `recipe`, `seed` and, under cross-validation only, `fold` (None or absent: the
            fixed split).
        named: what the settings name, part by part.
        fingerprint: that of the data: the prepared corpus, and a file of word vectors where one is read.
    """
    content = {
        "schema": SCHEMA,
        "cell": {**cell, "fold": cell.get("fold")},
        "settings": named,
        "data": fingerprint,
    }
    digest = short_hash(content)
    parts = [_file_name_part(str(cell[key])) for key in ("corpus", "arch", "recipe")]
    parts.append(f"s{int(cell['seed'])}")
    if cell.get("fold") is not None:
        parts.append(f"f{int(cell['fold'])}")
    return "-".join([*parts, digest])


def plain(value: Any) -> Any:
    """The value as plain JSON types."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str | int | float | bool):
        value = value.item()  # a numpy or torch scalar
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


def _file_name_part(text: str) -> str:
    # A corpus may be named by a path of the user's own; "-" (no arch) must not run into the separators.
    return re.sub(r"[^\w.+]+", "_", text).strip("._")[-60:] or "none"
