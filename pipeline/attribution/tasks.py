"""The credit of a day's journeys, as a stage; and the stages around the API."""

from __future__ import annotations

import csv
import datetime as dt
import io
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.attribution.attribute import attribute_embedded
from pipeline.attribution.in_force import embedded_model, model_identity, redistribution
from pipeline.attribution.models import IHC_API
from pipeline.attribution.schema import CREDIT
from pipeline.days import IntervalParameter, days_between, days_of
from pipeline.journeys.tasks import Journeys
from pipeline.stage import ModelSettings, Stage, data_root, setting, settings
from targets.atomic import write_bytes
from targets.parquet import ParquetTarget
from targets.text import JsonTarget

if TYPE_CHECKING:
    from pipeline.attribution.api.attribution import ApiResult
    from pipeline.attribution.api.planning import Plan
    from pipeline.attribution.asking import Api

API_RESOURCE = "attribution_api"


class ApiRun(ModelSettings):
    """What a run is told about the API; it changes which requests are sent, not what a result means."""

    refresh = luigi.BoolParameter(significant=False, description="ask the API again for what it has answered before")
    max_customer_journeys = setting("max_customer_journeys", significant=False)
    pack_days = setting("pack_days", significant=False)
    within = luigi.Parameter(default="", significant=False, description="the interval that the run is about")


class ApiUser(ApiRun, Stage):
    """A stage that may ask the API."""

    @property
    def uses_api(self) -> bool:
        """Whether the model is the API."""
        return self.model == IHC_API

    @property
    def resources(self) -> dict[str, int]:
        """One task uses the API at a time: its limits hold for all of them together."""
        return {API_RESOURCE: 1} if self.uses_api else {}

    def api(self) -> Api:
        """The API with the answers kept so far."""
        from pipeline.attribution.asking import Api

        told = ("conv_type_id", "max_sessions", "max_customer_journeys", "pack_days")
        in_force = replace(settings(), **{name: getattr(self, name) for name in told})
        return Api(in_force, data_root(), redistribution(), refresh=self.refresh)

    def days_within(self) -> list[dt.date]:
        """The days of the run's interval; none where a stage is run on its own."""
        return days_of(IntervalParameter().parse(self.within)) if self.within else []

    def limited(self) -> list[Stage]:
        """The journeys of the whole interval, where a limit on requests has to be judged by them."""
        return [self.clone(Journeys, day=day) for day in self.days_within()] if settings().max_requests else []

    def ask(self, journeys: pa.Table, title: str) -> ApiResult:
        """The API's answers, unless the interval needs more requests than allowed. Raises `ApiError`."""
        api = self.api()
        api.refuse_too_many(api.plan(stage.output().read() for stage in self.limited()))
        return api.ask(journeys, title, self.report)


class Attribution(ApiUser):
    """Each session's share of the conversions of a day."""

    day = luigi.DateParameter()

    def requires(self) -> list[Stage]:
        """The day's journeys; for the API also what has to be known or answered for the whole interval first."""
        return [self.clone(Journeys), *(self._first() if self.uses_api else [])]

    def made_from(self) -> list[Stage]:
        """The day's journeys alone."""
        return [self.clone(Journeys)]

    def output(self) -> ParquetTarget:
        """`<DATA_DIR>/attribution/<model>/<day>.parquet`."""
        return ParquetTarget(data_root() / "attribution" / self.model / f"{self.day}.parquet", CREDIT)

    def rejects_path(self) -> Path:
        """The CSV of the conversions whose journeys the API rejected."""
        return data_root() / "rejects" / "attribution" / self.model / f"{self.day}.csv"

    def ingredients(self) -> dict[str, Any]:
        """The journeys and settings, and what the model is."""
        return {**super().ingredients(), "model": model_identity(self.model, self.conv_type_id, self.options)}

    def current(self) -> bool:
        """Whether the credit is current, and of this run where that is asked for."""
        return super().current() and not (self.refresh and self.uses_api and self._has_old_answers())

    def run(self) -> None:
        """Ask the model."""
        if self.uses_api:
            credit, rejected = self._ask()
        else:
            model = embedded_model(self.model, self.conv_type_id, self.options)
            credit, rejected = attribute_embedded(self.clone(Journeys).output().read(), model), {}
        self._keep_rejected(rejected)
        self.output().write(credit, self.fingerprint(), {"rejected": len(rejected)})
        self.done(f"{credit.num_rows:,} sessions credited" + f", {len(rejected)} journeys rejected" * bool(rejected))

    def _first(self) -> list[Stage]:
        pack = self._pack()
        return [pack] if pack else self.limited()

    def _pack(self) -> AnsweredDays | None:
        days, size = self.days_within(), self.pack_days
        if size == 1 or not days:
            return None
        start = days.index(self.day) // size * size
        pack = days[start : start + size]
        return self.clone(AnsweredDays, first=pack[0], last=pack[-1])

    def _ask(self) -> tuple[pa.Table, dict[str, str]]:
        journeys, pack = self.clone(Journeys).output().read(), self._pack()
        refused = pack.output().read()["rejected"] if pack else {}
        is_refused = pc.is_in(journeys["conv_id"], value_set=pa.array(refused, pa.string()))
        answered = self.ask(journeys.filter(pc.invert(is_refused)), str(self.day))
        of_day = pc.unique(journeys["conv_id"].filter(is_refused)).to_pylist()
        return answered.credit, answered.rejected | {conv_id: refused[conv_id] for conv_id in of_day}

    def _has_old_answers(self) -> bool:
        return bool(self.api().unanswered(self.clone(Journeys).output().read()) - self._rejected_before())

    def _rejected_before(self) -> set[str]:
        if not self.rejects_path().exists():
            return set()
        with self.rejects_path().open(encoding="utf-8", newline="") as file:
            return {row["conv_id"] for row in csv.DictReader(file)}

    def _keep_rejected(self, rejected: Mapping[str, str]) -> None:
        path = self.rejects_path()
        if not rejected:
            path.unlink(missing_ok=True)
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([("conv_id", "reason"), *sorted(rejected.items())])
        write_bytes(path, text.getvalue().encode())


class AnsweredDays(ApiUser):
    """The journeys of several conversion days answered by the API, packed into requests together.

    The answers are kept where Attribution finds them; the file says how many there were, and which were rejected.
    """

    first = luigi.DateParameter()
    last = luigi.DateParameter()

    def requires(self) -> list[Stage]:
        """The days' journeys."""
        return [*self.made_from(), *self.limited()]

    def made_from(self) -> list[Stage]:
        """The days' journeys."""
        return [self.clone(Journeys, day=day) for day in days_between(self.first, self.last)]

    def output(self) -> JsonTarget:
        """`<DATA_DIR>/answered/<first>-<last>.json`."""
        return JsonTarget(data_root() / "answered" / f"{self.days}.json")

    def ingredients(self) -> dict[str, Any]:
        """The journeys, and what the API is."""
        return {**super().ingredients(), "model": model_identity(self.model, self.conv_type_id, self.options)}

    def current(self) -> bool:
        """Whether every journey has a kept answer or was rejected."""
        return super().current() and not self.api().unanswered(self._journeys()) - set(self.output().read()["rejected"])

    def run(self) -> None:
        """Ask for all that is not kept."""
        journeys = self._journeys()
        answered = self.ask(journeys, self.days)
        count = len(pc.unique(journeys["conv_id"]))
        self.output().write({"journeys": count, "rejected": answered.rejected}, self.fingerprint())
        self.done(f"{count:,} journeys answered, {len(answered.rejected)} of them rejected")

    @property
    def days(self) -> str:
        """The days, for messages and file names."""
        return f"{self.first}-{self.last}"

    @property
    def label(self) -> str:
        """The stage and its days, for messages."""
        return f"{self.task_family} {self.days}"

    def _journeys(self) -> pa.Table:
        from pipeline.attribution.asking import in_packs

        days = [stage.output().read() for stage in self.made_from()]
        return next(in_packs(days, len(days)))


class AttributionPlan(ApiUser):
    """What an interval would need of the API, printed and written before anything is paid."""

    date_interval = IntervalParameter()

    def requires(self) -> list[Stage]:
        """The interval's journeys."""
        return [self.clone(Journeys, day=day) for day in days_of(self.date_interval)]

    @property
    def resources(self) -> dict[str, int]:
        """It sends nothing."""
        return {}

    def output(self) -> JsonTarget:
        """`<DATA_DIR>/plan/<interval>.json`: journeys, sessions, requests, answered, requests_left, seconds."""
        return JsonTarget(data_root() / "plan" / f"{self.date_interval}.json")

    def ingredients(self) -> dict[str, Any]:
        """The plan itself: answers that were kept since make it another one."""
        return {**super().ingredients(), "plan": asdict(self._plan())}

    def run(self) -> None:
        """Plan, print, write."""
        planned = self._plan()
        self.output().write(asdict(planned), self.fingerprint())
        sys.stdout.write(f"{planned}\n{self.output()}\n")
        self.done(str(planned))

    def _plan(self) -> Plan:
        return self.api().plan(stage.output().read() for stage in self.requires())


@AttributionPlan.event_handler(luigi.Event.DEPENDENCY_PRESENT)
def _show_plan(stage: AttributionPlan) -> None:
    sys.stdout.write(f"{stage.output().read_text()}{stage.output()}\n")
