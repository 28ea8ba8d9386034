"""The fit of a model to the paths of an interval as a stage."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.attribution.models import FITTED_MODELS
from pipeline.attribution.models.fitted import fit
from pipeline.attribution.models.weighted_paths import WeightedPaths
from pipeline.errors import ModelError
from pipeline.journeys.path_tasks import LEFT_OUT, UserPaths
from pipeline.journeys.tasks import JourneySettings
from pipeline.model_options import ModelOptions
from pipeline.parameters import HiddenParameter, setting
from pipeline.stage import Part, Stage
from targets.files import Files
from targets.fingerprint import fingerprint
from targets.text import JsonTarget


class ModelFit(JourneySettings):
    """What `markov` or `shapley` learns from the paths of an interval: a strength for each channel."""

    model = setting("model")
    markov_order = setting("markov_order")
    excluded_channels = setting("excluded_channels")
    trial = HiddenParameter("", significant=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Luigi is untyped
        """Raise `ModelError` for a model that is not fitted."""
        super().__init__(*args, **kwargs)
        if self.model not in FITTED_MODELS:
            raise ModelError(
                f"{self.model} is not fitted to paths; set ATTRIBUTION_MODEL to {' or '.join(FITTED_MODELS)}"
            )

    @functools.cached_property
    def files(self) -> Files:
        """The data directory, or the folder of the trial that the fit is for."""
        return self.places.files(self.trial)

    def requires(self) -> list[Stage]:
        """The paths."""
        return [self.clone(UserPaths)]

    def parts(self) -> Sequence[Part]:
        """The interval."""
        return [str(self.date_interval)]

    def target(self, part: Part) -> JsonTarget:
        """`<DATA_DIR>/fits/<model>-<6 hex digits>/<interval>.json`."""
        return JsonTarget(self.files, f"fits/{self._folder}/{part}.json")

    @property
    def lock_name(self) -> str:
        """One run a file."""
        return f"ModelFit-{self._folder}-{self.date_interval}"

    def settings(self) -> Mapping[str, Any]:
        """The model and the options that concern its fit."""
        of_markov = {"order": self.markov_order} if self.model == "markov" else {}
        return {"model": self.model, "excluding": sorted({*self.excluded_channels}), **of_markov}

    def inputs(self) -> Mapping[Part, Any]:
        """The paths."""
        return self.clone(UserPaths).contents()

    def make(self, stale: Mapping[Part, str]) -> str:
        """Fit the model and write what it has learned."""
        options = ModelOptions(**{name: getattr(self, name) for name in _OPTIONS})
        for part, print_ in stale.items():
            paths = self.clone(UserPaths).target(part)
            learned = fit(self.model, WeightedPaths.from_table(paths.read()), options)
            of_paths = {"interval": str(part), "lookback_days": self.lookback_days, LEFT_OUT: paths.notes()[LEFT_OUT]}
            self.target(part).write({**of_paths, **learned}, print_)
        return f"{self.model}: {told(self.target(str(self.date_interval)).read())}"

    @property
    def _folder(self) -> str:
        made_from = {"fit": self.settings(), "journeys": self.journey_settings()}
        return f"{self.model}-{fingerprint(made_from)[:6]}"


_OPTIONS = ("markov_order", "excluded_channels")


def told(document: Mapping[str, Any]) -> str:
    """What a fit was made from, in words."""
    return (
        f"{document['conversions']:,} conversions and {document['null_paths']:,} users without one, conversion rate "
        f"{document['conversion_rate']:.2%}; {document[LEFT_OUT]:,} users left out, whose look-back window is open"
    )
