# A model of one's own, trained by UEGR in a loop of one's own: are its numbers large ones?
import torch
from torch import nn

import uegr


class Mean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.inner = nn.Embedding(100, 32, padding_idx=0), nn.Linear(32, 32)
        self.early, self.late, self.last = nn.Dropout(0.1), nn.Dropout(0.1), nn.Linear(32, 2)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        h = self.early(self.inner(self.words(input_ids)).relu())
        m = attention_mask[:, :, None]
        return {"logits": self.last(self.late((h * m).sum(1) / m.sum(1)))}


def batch(rows: int = 32) -> dict[str, torch.Tensor]:
    mask = (torch.arange(8) < torch.randint(2, 9, (rows, 1))).long()
    ids = torch.randint(1, 100, (rows, 8)) * mask
    return {"input_ids": ids, "attention_mask": mask, "labels": (ids.sum(1) > 50 * mask.sum(1)).long()}


torch.manual_seed(0)
model = Mean()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
method = uegr.attach(model, optimizer, "uegr")  # "dropout": the plain loop
for _ in range(200):
    loss = method.backward(batch())
    optimizer.step(), optimizer.zero_grad()
print(method.describe())
test = batch(500)
right = model.eval()(test["input_ids"], test["attention_mask"])["logits"].argmax(1) == test["labels"]
print(f"accuracy {right.float().mean():.2f}")
