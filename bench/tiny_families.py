"""Tiny models of Hugging Face's families with random weights, and batches for them.

Tables of positions and segments are made as large as the words', so that a fault in either shows in the
logits, and weights larger than usual. transformers is imported when a model is made.

Index letters: B examples, T tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from zoo.core.options import lookup

WORDS, LENGTH, CLASSES = 50, 12, 3
PADS = (0, 3, 6, 9)  # of the rows of a batch; further rows begin again

_SIZES: dict[str, Any] = {
    "vocab_size": WORDS, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 40, "initializer_range": 0.3,
}  # fmt: skip
_SMALL_TABLE = {"embedding_size": 8}
# What each family's configuration calls these sizes, where it is not as BERT's.
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": _SIZES,
    "roberta": _SIZES,
    "xlm-roberta": _SIZES,
    "albert": _SIZES | _SMALL_TABLE,
    "electra": _SIZES | _SMALL_TABLE,
    "deberta": _SIZES | {
        "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "pooler_hidden_size": 16,
        "type_vocab_size": 2,
    },
    "deberta-v2": _SIZES | {
        "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "pooler_hidden_size": 16,
        "position_biased_input": False,
    },
    "xlnet": {
        "vocab_size": WORDS, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24,
        "initializer_range": 0.3,
    },
    "distilbert": {
        "vocab_size": WORDS, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24,
        "max_position_embeddings": 40, "initializer_range": 0.3,
    },
    "mobilebert": _SIZES | _SMALL_TABLE | {"intra_bottleneck_size": 12},
    "modernbert": _SIZES | {
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2,
    },
    "mpnet": _SIZES,
}  # fmt: skip
LEFT = ("xlnet",)  # padded on the left
WITH_SEGMENTS = ("bert", "albert", "electra", "deberta", "xlnet", "mobilebert")


def tiny(family: str, seed: int = 0, outputs: int = CLASSES, **changes: Any) -> nn.Module:
    """A sequence classifier with random weights, in training mode.

    Args:
        changes: of the configuration.

    Raises:
        UserError: an unknown family.
    """
    sizes = lookup(FAMILIES, family, "family")
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(seed)
    config = AutoConfig.for_model(family, num_labels=outputs, **(sizes | changes))
    model: nn.Module = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for table in model.modules():
            if isinstance(table, nn.Embedding):
                table.weight.normal_()
    return model.train()


def texts(
    family: str, rows: int = 4, seed: int = 0, length: int = LENGTH, side: str = ""
) -> dict[str, Tensor]:
    """A batch: ids, mask, segments where the family has them, classes (B,).

    Args:
        side: of the padding, left or right; empty: the family's own.
    """
    random = torch.Generator().manual_seed(seed)
    left = (side or ("left" if family in LEFT else "right")) == "left"
    pads = torch.tensor([PADS[row % len(PADS)] for row in range(rows)])[:, None]
    places = torch.arange(length).expand(rows, -1)
    mask = places >= pads if left else places < length - pads
    ids = torch.randint(5, WORDS, (rows, length), generator=random)
    batch = {"input_ids": torch.where(mask, ids, padding(family)), "attention_mask": mask.long()}
    if family in WITH_SEGMENTS:
        batch["token_type_ids"] = (places > length // 2).long() * mask
    return batch | {"labels": torch.randint(CLASSES, (rows,), generator=random)}


def padding(family: str) -> int:
    """The id of the token that fills up."""
    from transformers import AutoConfig

    return int(FAMILIES[family].get("pad_token_id", AutoConfig.for_model(family).pad_token_id))
