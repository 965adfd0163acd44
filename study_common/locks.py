"""Locks on files, which Linux and macOS have: a study, and the cache of decoded images, have one writer at a time."""

from study_common.errors import UserError

try:
    import fcntl as fcntl
except ImportError:
    raise UserError("training and studies run on Linux and macOS; on Windows use WSL 2") from None
