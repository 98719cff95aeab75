"""Folders of several machines in one: nothing lost, nothing overwritten, what contradicts is named."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.core.classes import encode_classes
from zoo.core.errors import UserError
from zoo.core.result import Machine
from zoo.grid.merge import Merged, merge
from zoo.grid.store import Store


def silent(text: str) -> None:
    pass


def test_cells_of_all_folders_with_what_stands_beside_them(tmp_path: Path, made) -> None:
    a, b, out = (tmp_path / name for name in "abc")
    one, both, other = made("uegr"), made("at"), made("r_at")
    for folder, results in ((a, (one, both)), (b, (both, other))):
        for result in results:
            Store(folder).write(result)
    (b / "weights").mkdir()
    (b / "weights" / f"{other.id}.safetensors").write_bytes(b"weights")
    (b / "models" / other.id).mkdir(parents=True)
    (b / "models" / other.id / "model.json").write_text("{}")
    (b / "studies").mkdir()
    (b / "studies" / "0123abcd.json").write_text("{}")
    assert merge([a, b], out, silent) == Merged(cells=3, copied=3, mended=0)
    assert {result.id: result for result in Store(out).cells()} == {r.id: r for r in (one, both, other)}
    assert (out / "weights" / f"{other.id}.safetensors").read_bytes() == b"weights"
    assert (out / "models" / other.id / "model.json").read_text() == "{}"
    assert (out / "studies" / "0123abcd.json").exists()
    assert merge([a, b], out, silent) == Merged(cells=3, copied=0, mended=0)


def test_a_network_is_not_lost_because_another_folder_has_the_cell_without(tmp_path: Path, made) -> None:
    result, failed = made("uegr"), replace(made("at", status="failed"), reason="its worker died")
    a, b = (tmp_path / name for name in "ab")
    Store(a).write(result)
    for own in (result, failed):
        Store(b).write(own)
    for cell_id in (result.id, failed.id, "of-no-result"):
        (b / "models" / cell_id).mkdir(parents=True)
        (b / "models" / cell_id / "model.json").write_text("{}")
    merge([a, b], tmp_path / "c", silent)
    merge([b], a, silent)
    for out in (a, tmp_path / "c"):
        assert [path.name for path in (out / "models").iterdir()] == [result.id], out


def test_a_file_of_vectors_may_lie_elsewhere_on_each_machine(tmp_path: Path, made) -> None:
    """A cell's name has what the file holds."""
    results = []
    for folder in "ab":
        own, file = made(), f"/{folder}/glove.txt"
        settings = own.settings | {"train": {**own.settings["train"], "vectors": file}}
        results.append(replace(own, settings=settings, vectors={"kind": file, "coverage": 0.9, "scale": 0.1}))
        Store(tmp_path / folder).write(results[-1])
    assert merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out", silent).cells == 1
    Store(tmp_path / "b").write(replace(results[1], vectors={**results[1].vectors, "coverage": 0.8}))
    with pytest.raises(UserError, match=r"\(vectors\)"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out", silent)


def test_what_is_there_stays_though_it_was_faster_elsewhere(tmp_path: Path, made) -> None:
    result = made()
    slower = replace(result, seconds={"total": 99.0}, made_by={"version": "2", "commit": None})
    Store(tmp_path / "out").write(result)
    Store(tmp_path / "a").write(slower)
    assert merge([tmp_path / "a"], tmp_path / "out", silent).copied == 0
    assert Store(tmp_path / "out").read(result.id) == result


def test_two_results_of_a_cell_are_named_and_nothing_is_written(tmp_path: Path, made) -> None:
    result, fine = made("uegr"), made("at")
    other = replace(
        result, predictions=encode_classes([0, 0, 0, 1]), machine=Machine("cpu", "AVX512"),
        measures=result.measures | {"accuracy": 0.75},
    )  # fmt: skip
    Store(tmp_path / "a").write(result)
    Store(tmp_path / "b").write(other)
    Store(tmp_path / "b").write(fine)
    with pytest.raises(UserError) as caught:
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out", silent)
    assert f"{result.id} in {tmp_path}/a and {tmp_path}/b (predictions, on AVX2 and AVX512)" in str(
        caught.value
    )
    assert "1 cells have two results" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("order", [("bad", "good"), ("good", "bad")])
def test_a_failed_cell_is_no_result(tmp_path: Path, made, order: tuple[str, str]) -> None:
    results = {"good": made(), "bad": replace(made(status="failed"), reason="its worker died")}
    for name, result in results.items():
        Store(tmp_path / name).write(result)
    merge([tmp_path / name for name in order], tmp_path / "new", silent)
    assert Store(tmp_path / "new").read(made().id).done
    assert merge([tmp_path / "good"], tmp_path / "bad", silent) == Merged(cells=1, copied=1, mended=1)


@pytest.mark.parametrize("what", ["weights", "models"])
def test_a_full_disk_is_not_left_full_of_halves(
    tmp_path: Path, made, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path / "a").write(made())
    place = tmp_path / "a" / what / (f"{made().id}.safetensors" if what == "weights" else f"{made().id}/x")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"12345678")

    def half(source: str | Path, target: str | Path, **_: object) -> None:
        Path(target).write_bytes(b"1234")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", half)
    monkeypatch.setattr(
        shutil, "copytree", lambda source, target: (Path(target).mkdir(), half("", f"{target}/x"))
    )
    with pytest.raises(UserError, match=r"cannot be written .No space left on device"):
        merge([tmp_path / "a"], tmp_path / "out", silent)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_studies_that_cannot_be_written_are_one_line(tmp_path: Path, made) -> None:
    for name in ("a", "out"):
        Store(tmp_path / name).write(made())
    (tmp_path / "a" / "studies").mkdir()
    (tmp_path / "a" / "studies" / "x.json").write_text("{}")
    (tmp_path / "out" / "studies").write_text("a file")
    with pytest.raises(UserError, match=r"x\.json: cannot be written"):
        merge([tmp_path / "a"], tmp_path / "out", silent)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing: no such folder"):
        merge([tmp_path / "nothing"], tmp_path / "out", silent)
