"""A network to be measured: a tiny cell of the tiny corpus."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import tiny
from zoo.probes.subject import Subject


@pytest.fixture
def subject() -> Callable[..., Subject]:
    def make(arch: str = "textcnn", recipe: str = "uegr", **options) -> Subject:
        return Subject(arch, 0, tiny.cell_settings(recipe, arch), corpus=tiny.corpus(), **options)

    return make
