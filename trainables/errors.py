"""What ends a run as failed, when neither the user's request nor the program is at fault."""


class NonFiniteError(RuntimeError):
    """A number that the run needs is infinite or NaN; the message says which, and what to change."""
