"""Data sets of the Hugging Face hub, by the library `datasets`: it fetches and caches, we read its files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.text.settings import Report
from zoo.text.sources.arrow import ArrowTable, datasets_source
from zoo.text.sources.columns import Asked
from zoo.text.sources.own import own_name
from zoo.text.sources.rows import Source

PREFIX = "hub:"
_ADDRESS = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?::([\w.-]+))?", re.ASCII)
# Since this release no code of a data set is run, whatever the settings.
_OLDEST = 4


def hub_source(address: str, asked: Asked, report: Report) -> Source:
    """Return the corpus at `hub:OWNER/NAME` or `hub:OWNER/NAME:CONFIG`, fetched unless it is in the cache.

    The cache is that of `datasets`; under HF_HUB_OFFLINE or HF_DATASETS_OFFLINE it alone is asked.
    asked: columns that the user named.
    Raises `UserError` for a wrong address, without `datasets`, and for whatever stops it.
    """
    if (match := _ADDRESS.fullmatch(address.removeprefix(PREFIX))) is None:
        raise UserError(f"corpus {address!r}: expected hub:OWNER/NAME or hub:OWNER/NAME:CONFIG")
    path, config = match.groups()
    if os.path.exists(path):
        # `datasets` would read it in place of the hub's.
        raise UserError(
            f"corpus {address!r}: {path} is here too; expected the path alone, or another working folder"
        )
    loaded = _load(address, path, config, report)
    tables = {
        str(part): ArrowTable(f"{address}/{part}", [Path(file["filename"]) for file in data.cache_files])
        for part, data in loaded.items()
    }
    stem = path.split("/")[1] + (f"_{config}" if config else "")
    return datasets_source(own_name(stem), address, tables, asked)


def _load(address: str, path: str, config: str | None, report: Report) -> Any:
    try:
        import datasets
    except ImportError:
        raise UserError(
            f"corpus {address!r}: needs the library datasets (pip install 'uegr[datasets]')"
        ) from None
    if int(datasets.__version__.split(".")[0]) < _OLDEST:
        raise UserError(
            f"corpus {address!r}: datasets {datasets.__version__} may run code of a data set; "
            f"expected {_OLDEST}.0 or later (pip install 'uegr[datasets]')"
        )
    report(f"{address}: asking datasets")
    try:
        # Kept in files, which are hashed and read as those of any other corpus.
        return datasets.load_dataset(path, config, keep_in_memory=False)
    except Exception as error:  # of many kinds: no network, no such data set or configuration, its files
        reason = " ".join(str(error).split())[:240] or type(error).__name__
        raise UserError(
            f"corpus {address!r}: datasets cannot load it ({reason}); expected a data set of the hub"
        ) from None
