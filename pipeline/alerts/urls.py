"""The receivers of alerts: their URLs hold passwords, so they are read from the environment or a secret file alone."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import SettingsError

URLS = "ALERT_URLS"
FILE = "ALERT_URLS_FILE"
_LONGEST = 65_536  # bytes of a file of URLs
_URL = re.compile(r"([A-Za-z][A-Za-z0-9]*)://\S+")


class Receiver(str):
    """The URL of a receiver, whose repr is stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    @property
    def kind(self) -> str:
        """The service alone.

        >>> Receiver("mailtos://ann:secret@mail.example").kind
        'mailtos'
        """
        return self.partition("://")[0]


def receivers(environ: Mapping[str, str]) -> list[Receiver]:
    """The URLs in ALERT_URLS, else in the file that ALERT_URLS_FILE names, with blanks or line ends between them.

    A line of the file that begins with # is a comment. Raises `SettingsError`, which repeats no URL, for a file that
    cannot be read, for what is no URL, and where apprise is not installed.
    """
    written, path = environ.get(URLS, "").strip(), environ.get(FILE, "").strip()
    origin = URLS if written or not path else f"{Path(path).absolute()} ({FILE})"
    if not written and path:
        written = _read(Path(path), origin)
        if not written:
            raise SettingsError(f"{origin} holds no URL; write one there, or leave {FILE} empty")
    found = [Receiver(word) for word in written.split()]
    for place, url in enumerate(found, 1):
        if not _URL.fullmatch(url):
            raise SettingsError(
                f"{origin}: receiver {place} of {len(found)} is no URL such as mailtos://... or slack://...; put "
                "blanks or line ends between URLs, and write %20 for a blank inside one"
            )
    if found and importlib.util.find_spec("apprise") is None:
        raise SettingsError(
            f"{origin} names receivers of alerts, and apprise, which sends them, is not installed: "
            f"pip install 'marketing-attribution-pipeline[alerts]', or leave {URLS} and {FILE} empty"
        )
    return found


def refuse_unknown(found: Sequence[Receiver], unknown: Sequence[int]) -> None:
    """Raise `SettingsError` if there are receivers, counted from 0, that apprise does not know."""
    for place in unknown:
        raise SettingsError(
            f"{URLS}: receiver {place + 1} of {len(found)} ({found[place].kind}://...) is no URL that apprise knows, "
            "or lacks a part of it; `apprise --details` lists them"
        )


def _read(path: Path, origin: str) -> str:
    try:
        with path.open("rb") as file:
            lines = file.read(_LONGEST).decode(errors="replace").removeprefix("\ufeff").splitlines()
    except OSError as error:
        raise SettingsError(f"{origin} cannot be read ({error.strerror})") from None
    return "\n".join(line for line in lines if not line.lstrip().startswith("#")).strip()
