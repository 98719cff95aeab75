"""Engines by name. A new one is a file with a subclass of `Engine` and a line of the table."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.core.errors import UserError
from zoo.core.options import lookup, parse_setting
from zoo.grid.engines.engine import Engine
from zoo.grid.engines.local import Local
from zoo.grid.engines.on_ray import Ray
from zoo.grid.engines.on_slurm import Slurm

ENGINES: dict[str, type[Engine]] = {kind.name: kind for kind in (Local, Ray, Slurm)}


def engine_of(name: str, settings: Sequence[str] = ()) -> Engine:
    """The engine of this name with settings as a user types them, `NAME=VALUE`.

    Raises:
        UserError: no such engine or setting, or a value that does not fit.
    """
    kind = lookup(ENGINES, name, "engine")
    typed = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--engine-set {text}: expected NAME=VALUE, for example --engine-set cores=2")
        lookup(kind().as_json(), key, f"setting of --engine {name}")
        typed[key] = parse_setting(kind, key, value)
    return kind(**typed)
