"""What every embedded model is to the rest of the program: a function, and what identifies its results."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.attribution.models.journeys import Credit, JourneyArrays


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that computes here, its parameters settled.

    Attributes:
        credit: from journeys to the credit of each session.
        fingerprint: JSON-able; two models of the same fingerprint give the same credit.

    """

    credit: Callable[[JourneyArrays], Credit]
    fingerprint: dict[str, object]

    @classmethod
    def of(
        cls, name: str, version: int, credit: Callable[..., Credit], parameters: Mapping[str, object]
    ) -> EmbeddedModel:
        """The model that calls `credit` with `parameters`; a new `version` when it gives other credit."""
        return cls(
            credit=functools.partial(credit, **parameters),
            fingerprint={"model": name, "version": version, "parameters": _digest(parameters)},
        )


def _digest(parameters: Mapping[str, object]) -> str:
    """SHA-256 of the parameters' content, whatever the order of keys; a dataclass counts as its fields."""
    return hashlib.sha256(json.dumps(parameters, sort_keys=True, default=asdict).encode()).hexdigest()
