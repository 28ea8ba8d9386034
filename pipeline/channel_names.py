"""Several channels in one setting."""

from __future__ import annotations

import csv
import io


class ChannelNames(tuple[str, ...]):
    """Channel names, written as in CSV: commas or line ends between them, quotes around a name that holds one.

    >>> ChannelNames.parse('Direct, "Email, fast"')
    ChannelNames(('Direct', 'Email, fast'))
    >>> str(ChannelNames.parse('Direct, "Email, fast"'))
    'Direct,"Email, fast"'
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> ChannelNames:
        """The names in a text, without the blanks around them. Raises `ValueError` if a quote is left open."""
        try:
            rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
            return cls(name for row in rows for name in map(str.strip, row) if name)
        except csv.Error:
            raise ValueError('must be channel names with commas between them, "quoted" where they hold one') from None

    def __str__(self) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(self)
        return text.getvalue()

    def __repr__(self) -> str:
        return f"ChannelNames({super().__repr__()})"
