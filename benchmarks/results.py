"""What a scenario found: figures with the most that is asked, and stages beside their floors; printed and as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from measuring import Run

# The floor under the stages of these names.
_FLOORED = {
    "scan": re.compile(r"Extract\w*|Source\w*|Sessions|Conversions|\w*Costs"),
    "journeys": re.compile(r"Journeys"),
    "store": re.compile(r"Stored\w*"),
}


@dataclass
class Figure:
    """One number, the most that is asked of it, and the CPU seconds and peak memory of the process behind it."""

    title: str
    value: float
    unit: str
    limit: float | None = None
    cpu_seconds: float | None = None
    peak_mb: float | None = None

    @property
    def missed(self) -> bool:
        """Whether it is more than is asked."""
        return self.limit is not None and self.value > self.limit

    def show(self) -> None:
        """Print it as a line."""
        process = "" if self.cpu_seconds is None else f"{self.cpu_seconds:9.2f} s CPU {self.peak_mb:7,.0f} MB"
        asked = "" if self.limit is None else f"at most {self.limit:g}" + ("  MISSED" if self.missed else "")
        print(f"  {self.title:<52}{self.value:9,.2f} {self.unit:<8}{process:<25}  {asked}".rstrip(), flush=True)


@dataclass
class Result:
    """All that one scenario found."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    failure: str = ""

    def add(self, title: str, value: float, unit: str, limit: float | None = None) -> None:
        """Add and print a figure."""
        self.figures.append(Figure(title, value, unit, limit))
        self.figures[-1].show()

    def add_run(self, title: str, run: Run, limit: float | None = None) -> None:
        """Add and print the seconds of a command."""
        figure = Figure(title, run.seconds, "s", limit, cpu_seconds=run.cpu_seconds, peak_mb=run.peak_mb)
        self.figures.append(figure)
        figure.show()

    def add_stages(self, title: str, run: Run, floors: Mapping[str, Run] | None = None) -> None:
        """Add and print the stages of a run; a floor stands at the first of the stages that it is under."""
        rows = {}
        for name, stage in run.stages.items():
            rows[name] = asdict(stage) | {"rows_per_second": stage.rows / stage.seconds if stage.seconds else None}
            floor = next((floor for floor, stages in _FLOORED.items() if stages.fullmatch(name)), None)
            if floors and floor:
                rows[name]["floor"] = floor
        for floor, least in (floors or {}).items():
            names = [name for name, row in rows.items() if row.get("floor") == floor]
            if names:
                ratio = sum(run.stages[name].seconds for name in names) / least.seconds
                rows[names[0]] |= {"floor_seconds": least.seconds, "ratio": ratio}
        self.stages[title] = rows
        _show_stages(rows)
        logged = sum(stage.seconds for stage in run.stages.values())
        print(f"    {'start, planning and the rest':<36}{max(run.seconds - logged, 0):10.2f}", flush=True)

    def as_json(self) -> dict[str, Any]:
        """The same for other programs."""
        figures = [asdict(figure) | {"missed": figure.missed} for figure in self.figures]
        return asdict(self) | {"figures": figures}


def _show_stages(rows: Mapping[str, Mapping[str, Any]]) -> None:
    titles = ("rows/s", "wall s", "CPU s", "peak MB", "floor s", "ratio")
    print("    " + f"{'stage':<24}{'rows':>12}" + "".join(f"{title:>10}" for title in titles))
    for name, row in rows.items():
        columns = (
            _number(row["rows_per_second"], 0),
            _number(row["seconds"], 2),
            _number(row["cpu_seconds"], 2),
            _number(row["peak_mb"], 0),
            _number(row.get("floor_seconds"), 2),
            _number(row.get("ratio"), 2),
        )
        print(f"    {name:<24}{row['rows']:>12,}" + "".join(f"{column:>10}" for column in columns))


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
