"""Settings by their own names, as tables and comparisons read them."""

from __future__ import annotations

import pytest

from zoo.changes import shown as typed
from zoo.core.options import brief
from zoo.evidence.settings import as_read, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.0, "4"), (1e-5, "1e-05"), (0.0030, "0.003"), (0.00123456789, "0.00123456789"), (2e7, "2e+07")],
)
def test_a_number_is_short_and_the_same_number(value: float, text: str) -> None:
    """A command that is printed trains the cell that it stands for."""
    assert brief(value) == shown(value) == typed(value) == text
    assert float(text) == value


def test_where_a_file_lies_makes_no_other_setting() -> None:
    """Seeds of two machines are of one method, though its file is elsewhere on each."""

    def settings(folder: str, column: str, epochs: int = 3) -> dict[str, dict[str, object]]:
        text = {"max_length": 9, "text_column": column, "label_column": column}
        return {"train": {"vectors": f"{folder}/glove.txt", "epochs": epochs}, "text": text}

    one = as_read(settings("/home/a", "body"))
    assert one == as_read(settings("/data", "")) == {"vectors": "glove.txt", "epochs": 3, "max_length": 9}
    assert one != as_read(settings("/data", "", epochs=4))
