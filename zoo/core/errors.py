"""The one exception that a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the input: one clear line that says what, where, and what was expected.

    The command line prints the message alone (no traceback) and ends with exit code 2.
    """
