"""A BERT of a few thousand weights in a folder, and a corpus of pairs that it can learn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers")

WORDS = ["good", "bad", "film", "plot", "was", "the", "a", "is", "and", "not", "cat", "dog", "runs", "sleeps"]


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a BERT with 2 layers of width 16 and random weights; dropout 0.1."""
    import torch

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=24,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up SST-2, RTE (pairs) and STS-B (scores) in the simple layout, and AdvGLUE's SST-2."""
    root = tmp_path_factory.mktemp("data")
    polar = [("good", "positive"), ("bad", "negative")]
    films = [
        {
            "text": f"the {WORDS[2 + i % 3]} {WORDS[4 + i // 2 % 8]} {polar[i % 2][0]}",
            "label": polar[i % 2][1],
        }
        for i in range(96)
    ]
    pairs = [
        {"text": f"the {a} {b}", "text_pair": f"a {c} {b}", "label": f"{'not_' * (a != c)}entailment"}
        for a in ("cat", "dog", "film")
        for b in ("runs", "sleeps", "was good")
        for c in ("cat", "dog", "film")
    ]
    alike = [5 * (row["label"] == "entailment") * (1 - i / 60) for i, row in enumerate(pairs)]
    scores = [{**row, "label": f"{like:.3f}"} for row, like in zip(pairs, alike, strict=True)]
    write(root / "glue_sst2", train=films, dev=films[:24])
    write(root / "glue_rte", train=pairs, dev=pairs[:12])
    write(root / "glue_stsb", train=scores, dev=scores[:12])
    write(root / "advglue/sst2", dev=films[24:34])
    for name, classes in (("glue_sst2", "negative positive"), ("advglue/sst2", "negative positive"),
                          ("glue_rte", "entailment not_entailment")):  # fmt: skip
        (root / name / "labels.txt").write_text(classes.replace(" ", "\n") + "\n")
    return root


def write(folder: Path, **parts: list[dict[str, str]]) -> None:
    """Parts of a corpus as JSON lines."""
    folder.mkdir(parents=True)
    for part, rows in parts.items():
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def run_cell(tiny_bert: Path, data_dir: Path) -> Callable[..., object]:
    """One cell of the tiny BERT: recipe, corpus, then settings of training."""
    import torch

    from zoo.core.result import Cell, Result
    from zoo.pretrained.cell import examples_info, train_pretrained
    from zoo.pretrained.settings import Pretrained
    from zoo.recipes import resolve_recipe
    from zoo.text import load_examples
    from zoo.text.settings import OwnTokens
    from zoo.training.settings import CellSettings, TrainSettings

    def run(recipe: str = "uegr", corpus: str = "glue_sst2", seed: int = 0, keep: object = lambda run: None,
            pretrained: bool = True, **train: object) -> object:  # fmt: skip
        text = OwnTokens(max_length=16)
        arch = f"hf:{tiny_bert}"
        examples = load_examples(corpus, text, data_dir)
        options = {"epochs": 2, "learning_rate": 3e-3, **train}
        chosen = resolve_recipe(recipe, "pretrained")
        settings = CellSettings(chosen, Pretrained(pretrained), TrainSettings(**options), text)  # type: ignore[arg-type]
        head = Result(
            "cell", Cell(corpus, "hf:tiny-bert", recipe, seed), "failed", settings.as_json(),
            examples_info(examples, arch),
        )  # fmt: skip
        return train_pretrained(head, settings, arch, examples, torch.device("cpu"), keep=keep)

    return run
