"""Every error that reading or writing a target raises.

TargetError                one line for the console: which file or table, what is wrong, what to do
├── UnreadableTargetError  the file is truncated, damaged or somebody else's
└── DatabaseError          the database cannot be opened, read or written
"""


class TargetError(Exception):
    """A failure that its message explains: logged as one line, without a traceback."""


class UnreadableTargetError(TargetError):
    """The file is truncated, damaged or somebody else's."""


class DatabaseError(TargetError):
    """The database cannot be opened, read or written."""
