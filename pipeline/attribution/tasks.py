"""The credit of a day's journeys, as a stage."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import luigi
import pyarrow as pa

from pipeline.attribution.api.statistics import Progress
from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.models import IHC_API, load_model
from pipeline.attribution.schema import CREDIT
from pipeline.config import require_api_key
from pipeline.journeys.tasks import Journeys
from pipeline.stage import ModelSettings, Stage, data_root, settings
from targets.atomic import write_bytes
from targets.parquet import ParquetTarget

API_RESOURCE = "attribution_api"


@functools.cache
def model_identity(model: str, conv_type_id: str) -> Mapping[str, object]:
    """What, beside the journeys, decides the credit that a model gives. Raises `ModelError`."""
    if model == IHC_API:
        return {"model": IHC_API, "endpoint": settings().api_url}
    return load_model(model, conv_type_id).fingerprint


class Attribution(ModelSettings, Stage):
    """Each session's share of the conversions of a day."""

    day = luigi.DateParameter()

    @property
    def resources(self) -> dict[str, int]:
        """One task uses the API at a time: its limits hold for all of them together."""
        return {API_RESOURCE: 1} if self.model == IHC_API else {}

    def requires(self) -> Stage:
        """The day's journeys."""
        return self.clone(Journeys)

    def output(self) -> ParquetTarget:
        """`<DATA_DIR>/attribution/<model>/<day>.parquet`."""
        return ParquetTarget(data_root() / "attribution" / self.model / f"{self.day}.parquet", CREDIT)

    def rejects_path(self) -> Path:
        """The CSV of the conversions whose journeys the API rejected."""
        return data_root() / "rejects" / "attribution" / self.model / f"{self.day}.csv"

    def ingredients(self) -> dict[str, Any]:
        """The journeys and settings, and what the model is."""
        return {**super().ingredients(), "model": model_identity(self.model, self.conv_type_id)}

    def run(self) -> None:
        """Ask the model."""
        journeys = self.input().read()
        if self.model == IHC_API:
            credit, rejected = self._ask_api(journeys)
        else:
            credit, rejected = attribute_embedded(journeys, load_model(self.model, self.conv_type_id)), {}
        self._keep_rejected(rejected)
        self.output().write(credit, self.fingerprint(), {"rejected": len(rejected)})
        self.done(f"{credit.num_rows:,} sessions credited" + (f", {len(rejected)} journeys rejected" * bool(rejected)))

    def _ask_api(self, journeys: pa.Table) -> tuple[pa.Table, dict[str, str]]:
        # aiohttp takes half a second to import, and only this model needs it
        from pipeline.attribution.api.answers import AnswerStore
        from pipeline.attribution.api.attribution import attribute
        from pipeline.attribution.api.settings import ApiSettings

        answers = AnswerStore(data_root() / "answers")
        api = ApiSettings.from_settings(settings())
        result = attribute(journeys, api, require_api_key(), answers, self._show)
        return result.credit, result.rejected

    def _show(self, progress: Progress) -> None:
        self.report(str(progress), progress.settled / max(1, progress.journeys))

    def _keep_rejected(self, rejected: Mapping[str, str]) -> None:
        path = self.rejects_path()
        if not rejected:
            path.unlink(missing_ok=True)
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([("conv_id", "reason"), *sorted(rejected.items())])
        write_bytes(path, text.getvalue().encode())
