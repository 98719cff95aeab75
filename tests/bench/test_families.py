from __future__ import annotations

import json

import pytest

from bench.command import main

pytest.importorskip("transformers", reason="the extra hf")


def test_a_table_of_families(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "--family", "roberta", "modernbert", "--rounds", "1"]) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[:5] == ["roberta", "0.0e+00", "7", "0", "2"]
    assert lines[2].split()[:5] == ["modernbert", "0.0e+00", "0", "0", "0"] or lines[2].startswith(
        "modernbert"
    )
    assert all(line.split()[5].endswith("x") for line in lines[1:3])


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "--family", "modernbert", "deberta", "--rounds", "1", "--json"]) == 0
    modern, deberta = json.loads(capsys.readouterr().out)["families"]
    assert modern["difference"] == deberta["difference"] == 0
    assert modern["sites"] == []
    assert any("adaptive dropout does nothing" in text for text in modern["told"])
    assert deberta["told"] == []
    assert any("4 dimensions" in why for why in deberta["ordinary"].values())
    assert modern["cost"][1] > 1


def test_an_unknown_family_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "--family", "bart", "--rounds", "1"]) == 2
    assert "unknown family 'bart': expected one of" in capsys.readouterr().err
