"""Every error that reading or writing a target raises.

TargetError                one line for the console: which file or table, what is wrong, what to do
├── UnreadableTargetError  the file is truncated, damaged or somebody else's
├── UnwritableTargetError  there is no room for the file, or no permission
└── DatabaseError          the database cannot be opened, read or written
"""


class TargetError(Exception):
    """A failure that its message explains: logged as one line, without a traceback."""


class UnreadableTargetError(TargetError):
    """The file is truncated, damaged or somebody else's."""


class UnwritableTargetError(TargetError):
    """There is no room for the file, or no permission to write it."""


class DatabaseError(TargetError):
    """The database cannot be opened, read or written."""
