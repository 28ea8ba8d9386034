"""The models of a comparison as a parameter."""

from __future__ import annotations

from collections.abc import Sequence

import luigi

from pipeline.attribution.models import CUSTOM, EMBEDDED_MODELS, IHC_API, IHC_LOCAL, load_model
from pipeline.errors import ModelError


class ModelsParameter(luigi.Parameter):
    """Names of models, as text with commas between them; `ihc-local:<conversion type>` is one of another type."""

    def parse(self, value: str) -> tuple[str, ...]:
        """The names in a text."""
        return tuple(name for name in map(str.strip, value.split(",")) if name)

    def normalize(self, value: Sequence[str] | str) -> tuple[str, ...]:
        """The names, each once. Raises `ModelError` if one is unknown or there is none."""
        models = tuple(dict.fromkeys(self.parse(value) if isinstance(value, str) else value))
        if not models:
            raise ModelError(f"--models names no model; known are {', '.join([*EMBEDDED_MODELS, IHC_API])}")
        for name in models:
            self._check(name)
        return models

    @staticmethod
    def _check(name: str) -> None:
        model, separator, conv_type_id = name.partition(":")
        if separator and (model != IHC_LOCAL or not conv_type_id):
            raise ModelError(
                f"--models: {name!r} is no model with a conversion type; {IHC_LOCAL} alone takes one, as in "
                f"{IHC_LOCAL}:reference-b"
            )
        if model not in (IHC_API, CUSTOM):
            load_model(model, "default")

    def serialize(self, value: tuple[str, ...]) -> str:
        """The names as they are parsed."""
        return ",".join(value)
