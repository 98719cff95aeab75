# Columns text and label of a csv, and Hugging Face's Trainer with UEGR: python hf_csv.py FILE.csv OUT [MODEL]
# MODEL is the folder of a model; without it MiniLM, which lies in the package of the extra hf-demo. No hub.
import csv
import sys

import torch
import transformers

import uegr.hf
from zoo.pretrained.folders import folder_of

table, out = sys.argv[1:3]
base = sys.argv[3] if sys.argv[3:] else folder_of("hf:minilm")
with open(table, encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
classes = sorted({row["label"] for row in rows})
tokenizer = transformers.AutoTokenizer.from_pretrained(base)
ids = tokenizer([row["text"] for row in rows], truncation=True, max_length=128)["input_ids"]
data = [{"input_ids": i, "labels": classes.index(r["label"])} for i, r in zip(ids, rows, strict=True)]

transformers.set_seed(0)  # of the split, the new last layer, batches and masks
order, fifth = torch.randperm(len(data)).tolist(), len(data) // 5
held, train = [data[i] for i in order[:fifth]], [data[i] for i in order[fifth:]]
numbers = {name: number for number, name in enumerate(classes)}
model = transformers.AutoModelForSequenceClassification.from_pretrained(
    base, label2id=numbers, id2label=dict(enumerate(classes))
)
arguments = transformers.TrainingArguments(
    out, num_train_epochs=3, per_device_train_batch_size=16, learning_rate=1e-4, save_strategy="no"
)
trainer = uegr.hf.Trainer(  # in place of transformers.Trainer
    model, arguments, train_dataset=train, eval_dataset=held, processing_class=tokenizer,
    compute_metrics=lambda found: {"accuracy": (found.predictions.argmax(1) == found.label_ids).mean()},
    recipe="uegr",  # or "dropout", to compare
)  # fmt: skip
trainer.train()
print(f"accuracy {trainer.evaluate()['eval_accuracy']:.3f} on {len(held)} held-out texts")
model.save_pretrained(out), tokenizer.save_pretrained(out)
