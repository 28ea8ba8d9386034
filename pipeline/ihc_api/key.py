"""The key of the API: read from the environment or a secret file, kept in memory alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ApiKeyError

KEY_VARIABLE = "IHC_API_KEY"
FILE_VARIABLE = "IHC_API_KEY_FILE"
_LONGEST = 8_192  # bytes of a key file


class Secret(str):
    """A text whose repr is stars, so that it stays out of the reprs of whatever holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def api_key(environ: Mapping[str, str]) -> str | None:
    """The key in IHC_API_KEY, else in the file that IHC_API_KEY_FILE names; None without either.

    Blanks and line ends around it are cut. Raises `ApiKeyError` for a file that holds no key and for a key that no
    HTTP header can hold.
    """
    key, path = environ.get(KEY_VARIABLE, "").strip(), environ.get(FILE_VARIABLE, "").strip()
    if key:
        return clean_key(key)
    return clean_key(_read(Path(path)), f"{Path(path).absolute()} ({FILE_VARIABLE})") if path else None


def require_api_key(environ: Mapping[str, str]) -> str:
    """The key, as `api_key` finds it. Raises `ApiKeyError` without one."""
    key = api_key(environ)
    if key is None:
        raise ApiKeyError(
            f"the model ihc-api needs a key: set the environment variable {KEY_VARIABLE}, or {FILE_VARIABLE} to a file "
            "that holds it, or use the embedded model (ATTRIBUTION_MODEL=ihc-local)"
        )
    return key


def clean_key(key: str, origin: str = KEY_VARIABLE) -> Secret:
    """`key` without blanks and line ends around it. Raises `ApiKeyError`, which calls it `origin`."""
    cleaned = Secret(key.strip().removeprefix("\ufeff").strip())
    key = cleaned  # the tracebacks of errors show local variables
    if not cleaned:
        raise ApiKeyError(f"{origin} holds no key; put the key there and run again")
    if not (cleaned.isascii() and cleaned.isprintable()):
        raise ApiKeyError(
            f"{origin} holds a line end, a control character or a letter beyond ASCII inside the key; "
            "put the key alone there and run again"
        )
    return cleaned


def _read(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            return Secret(file.read(_LONGEST).decode(errors="replace"))
    except OSError as error:
        raise ApiKeyError(f"{path.absolute()} ({FILE_VARIABLE}) cannot be read ({error.strerror})") from None
