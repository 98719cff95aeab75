"""Two pieces of work at once on a GPU: the second on a stream of its own.

Inside a recording (`zoo.training.graphs`) the two become branches of the graph. autograd walks each back on
the stream it went forward on, so their backward passes run side by side as well. Ordinary steps take the same
streams, so that what torch makes on the first use of a stream is there before anything is recorded.

Never run on a GPU of this project's; the order of forks and joins is tested with a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

Work = Callable[[], Tensor]


def has_streams(device: torch.device) -> bool:
    """Whether work on this device can run side by side."""
    return device.type == "cuda"


def at_once(first: Work, second: Work, device: torch.device) -> tuple[Tensor, Tensor]:
    """What two pieces of work give that need nothing of each other; without streams, one after the other.

    What `second` keeps for its backward pass it must make itself: the memory of what it makes belongs to its
    stream, that of its arguments may be used again while its backward pass still runs.
    """
    if not has_streams(device):
        return first(), second()
    here = torch.cuda.current_stream(device)
    beside = side_stream(here)
    beside.wait_stream(here)
    with torch.cuda.stream(beside):
        other = second()
    one = first()
    here.wait_stream(beside)
    other.record_stream(here)  # made there, read here
    return one, other


@cache
def side_stream(of: Any) -> Any:
    """The one beside a stream, for a whole process: torch keeps workspaces for each that there ever was."""
    return torch.cuda.Stream(of.device)
