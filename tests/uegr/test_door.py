"""The package: its names, what it imports, its example, its messages."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import toys
import uegr
import uegr.method
from toys import Toy, adamw, batch, refused, toy
from zoo.core.errors import UserError


def test_the_example_runs() -> None:
    result = doctest.testmod(uegr.method)
    assert result.failed == 0
    assert result.attempted > 8


def test_every_name_is_there_and_costs_torch_only_when_asked_for() -> None:
    for name in uegr.__all__:
        assert getattr(uegr, name) is not None
    assert set(dir(uegr)) == set(uegr.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'atach'"):
        uegr.atach  # noqa: B018
    loaded = "[name in sys.modules for name in ('torch', 'numpy')]"
    code = f"import sys, uegr; uegr.UserError; print(uegr.__version__, *{loaded})"
    root = Path(uegr.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == [uegr.__version__, "False", "False"]


def test_a_recipe_with_settings() -> None:
    made = uegr.recipe("uegr", "paper", alpha=0.25)
    assert made.flat()["mask_on"] == "gradient"
    assert made.flat()["alpha"] == 0.25
    assert uegr.recipe("at") == uegr.RECIPES["at"]
    made = uegr.recipe("standard", resample="epoch", update="selective", gamma=2.0, dropout="mean")
    wanted = {"resample": "epoch", "update": "selective", "gamma": 2.0, "dropout": "mean"}
    assert {key: made.flat()[key] for key in wanted} == wanted


def test_a_name_is_of_the_preset_for_what_is_pre_trained() -> None:
    """In a model of transformers, also as a part of another; a record stays what it is."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    encoder = transformers.BertModel(transformers.BertConfig(vocab_size=toys.WORDS, **sizes))

    def strength(model: nn.Module, recipe: Any) -> float:
        method = uegr.attach(model, adamw(model), recipe)
        method.remove()
        return float(method.recipe.flat()["epsilon"])

    weak, usual = (uegr.recipe("uegr", preset).flat()["epsilon"] for preset in ("pretrained", "default"))
    assert weak < usual
    assert strength(encoder, "uegr") == weak
    assert strength(nn.ModuleList([toy(), encoder]), "uegr") == weak
    assert strength(encoder, uegr.recipe("uegr")) == strength(toy(), "uegr") == usual
    brought = type("Brought", (Toy,), {"__module__": "transformers_modules.owner.modeling"})  # its own code
    assert strength(brought(), "uegr") == weak
    with pytest.raises(UserError, match="unknown recipe 'uergr'"):
        uegr.attach(encoder, adamw(encoder), "uergr")


def test_a_description_says_what_is_missing() -> None:
    bare = nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(28, 3))
    words = " ".join(uegr.attach(bare, adamw(bare), "uegr").describe().split())
    assert "adaptive dropout does nothing: no module drops; put nn.Dropout" in words
    assert "the divergence is 0" in words
    model = toy()
    method = uegr.attach(model, adamw(model), "uegr", accumulate=2, passes_at_once=1)
    text = method.describe()
    words = " ".join(text.split())
    assert "3 passes a step, those of one kind 1 at a time; 2 batches a step" in words
    assert "attacked at the output of words (Embedding)" in words
    assert "mask on the optimizer's step, corrected after it; 5 tensors, 235 numbers" in words
    assert words.endswith("missing nothing")
    assert max(map(len, text.splitlines())) <= 80
    method.remove()
    words = " ".join(uegr.attach(model, adamw(model), "standard").describe().split())
    assert "the rates of 2 modules are 0 in the method's passes" in words
    assert "the optimizer's own" in words
    assert "none needed" in words


def broken(change: Callable[[dict[str, Any]], Any]) -> Callable[[], Any]:
    """A backward pass on a batch that is changed."""

    def run() -> None:
        model = toy()
        uegr.attach(model, adamw(model), "uegr").backward(change(batch()))

    return run


def attach(
    recipe: Any = "uegr", model: Any = None, optimizer: Any = None, **options: Any
) -> Callable[[], Any]:
    def run() -> None:
        own = toy() if model is None else model
        uegr.attach(own, adamw(own) if optimizer is None else optimizer, recipe, **options)

    return run


def evaluated() -> None:
    model = toy().eval()
    uegr.attach(model, adamw(model)).backward(batch())


def removed() -> None:
    model = toy()
    method = uegr.attach(model, adamw(model))
    method.remove()
    method.backward(batch())


def twice() -> None:
    model = toy()
    uegr.attach(model, adamw(model))
    uegr.attach(model, adamw(model))


def gives(output: Callable[[Tensor], Any]) -> Callable[[], Any]:
    """A backward pass of a model that gives something else."""

    class Other(Toy):
        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            return output(super().forward(input_ids, attention_mask).logits)

    def run() -> None:
        model = Other()
        uegr.attach(model, adamw(model), "dropout").backward(batch())

    return run


SPARSE = nn.Sequential(nn.Embedding(20, 4, sparse=True), nn.Flatten(), nn.Linear(28, 3))
WORDLESS = nn.Sequential(nn.Linear(7, 3))
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no labels": (broken(lambda b: {"input_ids": b["input_ids"]}), "batch of input_ids: expected `labels`"),
    "an empty batch": (broken(lambda b: {}), "batch of nothing: expected `labels`"),
    "no pair": (broken(lambda b: b["input_ids"]), "batch of type Tensor: expected a mapping"),
    "a list of labels": (
        broken(lambda b: b | {"labels": [0, 1, 2, 0]}),
        "labels of type list: expected a tensor",
    ),
    "one label": (broken(lambda b: b | {"labels": torch.tensor(1)}), "expected a tensor with one row"),
    "labels of other rows": (
        broken(lambda b: b | {"labels": b["labels"][:3]}),
        "labels of 3 rows beside inputs",
    ),
    "labels of another type": (broken(lambda b: b | {"labels": b["labels"].double()}), "labels of float64"),
    "evaluation": (evaluated, "Toy is in evaluation mode, where nothing is dropped; call .train()"),
    "after the end": (removed, "the method was removed"),
    "two methods": (twice, "Toy has a method already; expected method.remove() first"),
    "a function": (
        attach(model=len, optimizer=0),
        "model of type builtin_function_or_method: expected a torch",
    ),
    "replicas": (attach(model=nn.DataParallel(toy())), "model of type DataParallel: its replicas share"),
    "no optimizer": (attach(optimizer="adamw"), "optimizer of type str: expected a torch.optim.Optimizer"),
    "an optimizer of another model": (
        attach(optimizer=adamw(toy(1))),
        "optimizer holds 5 tensors that are no parameters of Toy",
    ),
    "an unknown recipe": (attach("uger"), "unknown recipe 'uger': expected one of"),
    "no recipe": (attach(3), "recipe of type int: expected a name of uegr.RECIPES"),
    "a setting of another recipe": (
        lambda: uegr.recipe("dropout", epsilonn=1),
        "setting epsilonn: recipe 'dropout' has none; expected one of",
    ),
    "a setting that nothing reads": (
        lambda: uegr.recipe("dropout", alpha=4.0),
        "setting alpha: recipe 'dropout' does not read it, so it would change nothing; expected one of",
    ),
    "single examples": (attach(uegr.recipe("uegr", saliency="per_sample")), "saliency=per_sample needs"),
    "no words": (attach(model=WORDLESS), "Sequential has no nn.Embedding to attack"),
    "words by a wrong name": (
        attach(embedding="word"),
        "embedding='word': expected one of words (did you mean",
    ),
    "words of another model": (
        attach(embedding=toy().words),
        "embedding=Embedding: expected a module of the",
    ),
    "a sparse table": (attach(model=SPARSE), "embedding 0 has sparse gradients, which are not masked"),
    "a site that is not there": (
        attach(uegr.recipe("uegr", sites=("lat",))),
        "sites=lat: expected one of early",
    ),
    "no batch of a step": (attach(accumulate=0), "accumulate=0: expected a whole number of at least 1"),
    "half a pass": (attach(passes_at_once=-1), "passes_at_once=-1: expected a whole number"),
    "a rate of one": (attach(base_rates=(1.0,)), "dropout setting base_rates=1.0: expected a number"),
    "smooth beyond": (attach(label_smoothing=1.0), "label_smoothing=1.0: expected a number in [0, 1)"),
    "two losses": (attach(label_smoothing=0.1, loss=len), "loss= with label_smoothing"),
    "no logits": (gives(lambda z: (z,)), "the model gave a tuple: expected logits"),
    "logits of a token": (gives(lambda z: z[:, None]), "logits of shape (4, 1, 3): expected (4, C)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_that_says_what_was_expected(case: str) -> None:
    run, what = REFUSED[case]
    refused(run, what)


def test_what_shows_at_the_first_batch_is_refused_there() -> None:
    model = toy(rate=0.97)
    method = uegr.attach(model, adamw(model), "uegr")
    with pytest.raises(UserError, match=r"dropout early: p=0.97; expected q_min=0.0 to q_max=0.95"):
        method.backward(batch())
    assert model.early.p == 0.97
    model = toy()
    method = uegr.attach(model, adamw(model), "uegr", mask=lambda inputs: torch.ones(2, 2))
    with pytest.raises(UserError, match=r"mask: got \(2, 2\), expected \(4, 7\), as the word ids"):
        method.backward(batch())


def test_a_refused_model_is_left_alone() -> None:
    """No hook stays where `attach` says no."""
    model = toy()
    for options in (
        {"embedding": "nothing"},
        {"accumulate": 0},
        {"recipe": "uger"},
        {"label_smoothing": 2.0},
    ):
        with pytest.raises(UserError):
            uegr.attach(model, adamw(model), **options)  # type: ignore[arg-type]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    uegr.attach(model, adamw(model))


def test_other_forms_of_models_and_batches() -> None:
    """A pair with one input, several, or a mapping; logits as a tensor, in an output, or by a function."""
    text = batch()
    ids, mask, labels = text["input_ids"], text["attention_mask"], text["labels"]

    class One(Toy):
        def forward(self, ids: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            return {"logits": self.vectors_to_logits(self.words(ids), ids != 0)}

    class Only(Toy):
        def forward(self, *args: Any) -> Any:
            raise AssertionError("forward= is there to be called")

    def own(model: nn.Module, inputs: Any) -> Tensor:
        assert isinstance(model, Only)
        return model.vectors_to_logits(model.words(inputs["ids"]), inputs["parts"][0])

    cases: list[tuple[type[Toy], Any, dict[str, Any]]] = [
        (Toy, text, {}),
        (Toy, ((ids, mask), labels), {"mask": lambda inputs: inputs[1]}),
        (Toy, [{"input_ids": ids, "attention_mask": mask}, labels], {}),
        (One, (ids, labels), {}),
        (Only, {"ids": ids, "parts": [mask, 3], "labels": labels}, {"forward": own}),
    ]
    gradients = []
    for kind, given, options in cases:
        torch.manual_seed(0)
        model = kind()
        method = uegr.attach(model, adamw(model), "uegr", **options)
        torch.manual_seed(1)
        method.backward(given)
        gradients.append(model.words.weight.grad)
    for other in gradients[1:]:
        assert gradients[0] is not None
        assert other is not None
        assert torch.equal(gradients[0], other)


def test_a_tiny_bert() -> None:
    """Of Hugging Face, where it is installed: sites, words, and the plain loop bit for bit."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}

    def bert() -> nn.Module:
        torch.manual_seed(0)
        found: nn.Module = transformers.BertForSequenceClassification(
            transformers.BertConfig(vocab_size=toys.WORDS, num_labels=3, **sizes)
        )
        return found.train()

    ours, theirs = bert(), bert()
    method = uegr.attach(ours, adamw(ours), "dropout")
    torch.manual_seed(1)
    toys.train(method, range(3))
    optimizer = adamw(theirs)
    torch.manual_seed(1)
    for seed in range(3):
        theirs(**batch(seed)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert toys.same(ours, theirs)
    method.remove()
    method = uegr.attach(ours, adamw(ours), "uegr")
    toys.train(method, range(3))
    assert len(method.sites.active) == 6
    assert "output of bert.embeddings.word_embeddings" in method.describe()
    assert list(ours.state_dict()) == list(theirs.state_dict())
