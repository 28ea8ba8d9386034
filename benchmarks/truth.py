"""How far each model's shares are from what the channels truly caused, in made-up shops where that is known.

`python benchmarks/truth.py` prints the tables; `--chart docs/truth.svg` also draws the chart of docs/models.md. The
truth is `pipeline.sample.shop.caused_orders()`: by channel the orders that would be lost if it had persuaded nobody.
Every seed is another shop of the same channels; figures are means over the seeds, with 95 % intervals of Student's t.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from adbc_driver_sqlite import dbapi

from pipeline.attribution.models import EMBEDDED_MODELS, FITTED_MODELS, fitted_model, load_model
from pipeline.attribution.models.fitted import fit
from pipeline.attribution.models.journeys import JourneyArrays
from pipeline.attribution.models.weighted_paths import WeightedPaths
from pipeline.days import days_between
from pipeline.journeys.build import build_journeys
from pipeline.journeys.paths import build_paths
from pipeline.model_options import ModelOptions
from pipeline.sample.shop import DAYS, FIRST_DAY, LOWER_CASE, caused_orders, write_shop
from pipeline.sql_session import sql_session
from targets.files import LocalFiles

SEEDS = 20
LOOKBACK_DAYS = 30
CONVERTING_ALONE = "converting alone"
"""Beside each fitted model the same one fitted as if nobody had left without an order."""

# two-sided 95 % quantiles of Student's t by degrees of freedom; beyond them that of the normal distribution is near
_STUDENT = {1: 12.71, 2: 4.30, 4: 2.78, 9: 2.26, 14: 2.14, 19: 2.09, 29: 2.05, 39: 2.02}

_SESSIONS = """
SELECT session_id, user_id, unixepoch(event_date || ' ' || event_time) AS session_time,
       CASE WHEN channel_name = lower(?1) THEN ?1 ELSE channel_name END AS channel_name,
       holder_engagement, closer_engagement, impression_interaction
FROM session_sources
"""
_CONVERSIONS = """
SELECT conv_id, user_id, unixepoch(conv_date || ' ' || conv_time) AS conv_time, revenue, 0 AS new_customer
FROM conversions
"""

Shares = dict[str, dict[str, float]]
"""By model the share of each channel."""


@dataclass(frozen=True)
class Mean:
    """A mean over the seeds, and half the width of its interval."""

    value: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """The mean of values, one a seed."""
        count = len(values)
        if count == 1:
            return cls(float(np.mean(values)), math.nan)
        quantile = _STUDENT.get(min((free for free in _STUDENT if free >= count - 1), default=0), 2.0)
        return cls(float(np.mean(values)), quantile * float(np.std(values, ddof=1)) / math.sqrt(count))


def shop_shares(seed: int, scale: float) -> Shares:
    """The shares of one shop: the truth, and what each model says of it."""
    caused = caused_orders(scale=scale, seed=seed)
    total = sum(caused.values())
    found: Shares = {"truth": {name: orders / total for name, orders in caused.items()}}
    with tempfile.TemporaryDirectory() as name:
        journeys, paths = _journeys_and_paths(Path(name), seed, scale)
    alone = WeightedPaths.of(journeys)
    for model in EMBEDDED_MODELS:
        if model in FITTED_MODELS:
            found[model] = _shares(model, journeys, fit(model, paths, ModelOptions()))
            found[f"{model}, {CONVERTING_ALONE}"] = _shares(model, journeys, _fit_to_conversions(model, alone))
        else:
            found[model] = _shares(model, journeys)
    return found


def _fit_to_conversions(model: str, paths: WeightedPaths) -> Mapping[str, object] | None:
    """Shapley's game of conversions needs no fit; that of rates has no losers without null paths."""
    return fit(model, paths, ModelOptions()) if model == "markov" else None


def _shares(model: str, journeys: JourneyArrays, learned: Mapping[str, object] | None = None) -> dict[str, float]:
    function = (fitted_model(model, learned) if learned else load_model(model, "default")).credit
    sums = np.bincount(journeys.channel, function(journeys).ihc, len(journeys.channels)) / (len(journeys.starts) - 1)
    return dict(zip(journeys.channels, sums.tolist(), strict=True))


def _journeys_and_paths(folder: Path, seed: int, scale: float) -> tuple[JourneyArrays, WeightedPaths]:
    database = folder / "shop.db"
    write_shop(database, scale=scale, seed=seed)
    days = [*days_between(FIRST_DAY, FIRST_DAY + dt.timedelta(days=DAYS - 1))]
    files = {name: str(folder / f"{name}.parquet") for name in ("sessions", "conversions", "journeys")}
    pq.write_table(_read(database, _SESSIONS, LOWER_CASE), files["sessions"])
    pq.write_table(_read(database, _CONVERSIONS), files["conversions"])
    limits = {"lookback_days": LOOKBACK_DAYS, "max_sessions": 3_000}
    with sql_session(LocalFiles(folder), "1GB") as connection:
        built = build_journeys(connection, [files["conversions"]], [files["sessions"]], [], days, **limits)
        journeys = pa.concat_tables(table for _, table in built)
    pq.write_table(journeys, files["journeys"])
    with sql_session(LocalFiles(folder), "1GB") as connection:
        sources = ([files[name]] for name in ("journeys", "sessions", "conversions"))
        paths, _ = build_paths(connection, *sources, first_day=days[0], last_day=days[-1], **limits)
    return JourneyArrays.from_table(journeys), WeightedPaths.from_table(paths)


def _read(database: Path, sql: str, *values: str) -> pa.Table:
    with dbapi.connect(f"file:{database}?mode=ro") as connection, connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetch_arrow_table()


def distance(shares: Mapping[str, float], truth: Mapping[str, float]) -> float:
    """The share of all credit that is with the wrong channel: half the sum of all differences."""
    return sum(abs(shares.get(name, 0.0) - truth.get(name, 0.0)) for name in {*shares, *truth}) / 2


def table(seeds: Sequence[Shares]) -> Iterator[str]:
    """The lines of both tables."""
    models = sorted((name for name in seeds[0] if name != "truth"), key=lambda name: _distance(seeds, name).value)
    yield f"{'model':<28}{'credit misplaced':>18}{'interval':>18}   most overrated, most underrated"
    for model in models:
        mean = _distance(seeds, model)
        errors = {name: error.value for name, error in errors_of(seeds, model).items()}
        over, under = max(errors, key=errors.__getitem__), min(errors, key=errors.__getitem__)
        interval = f"{mean.value - mean.half:.1%} to {mean.value + mean.half:.1%}"
        yield f"{model:<28}{mean.value:>18.1%}{interval:>18}   {over} {errors[over]:+.1%}, {under} {errors[under]:+.1%}"
    yield ""
    shown = [model for model in models if CONVERTING_ALONE not in model]
    yield f"{'share in %':<26}{'truth':>7}" + "".join(f"{model:>16}" for model in shown)
    truth = {name: Mean.of([seed["truth"][name] for seed in seeds]) for name in seeds[0]["truth"]}
    for name in sorted(truth, key=lambda name: -truth[name].value):
        cells = (Mean.of([seed[model].get(name, 0.0) for seed in seeds]) for model in shown)
        yield f"{name:<26}{100 * truth[name].value:>7.1f}" + "".join(
            f"{100 * of.value:>9.1f} ± {100 * of.half:<4.1f}" for of in cells
        )


def _distance(seeds: Sequence[Shares], model: str) -> Mean:
    return Mean.of([distance(seed[model], seed["truth"]) for seed in seeds])


def errors_of(seeds: Sequence[Shares], model: str) -> dict[str, Mean]:
    """By channel how much more of the whole the model gives it than it has caused."""
    return {
        name: Mean.of([seed[model].get(name, 0.0) - seed["truth"][name] for seed in seeds])
        for name in seeds[0]["truth"]
    }


def chart(seeds: Sequence[Shares]) -> str:
    """A picture (SVG): a panel a model, in it a bar a channel from no error to the mean error, with its interval."""
    models = sorted(
        (name for name in seeds[0] if name != "truth" and CONVERTING_ALONE not in name),
        key=lambda name: _distance(seeds, name).value,
    )
    truth = {name: float(np.mean([seed["truth"][name] for seed in seeds])) for name in seeds[0]["truth"]}
    channels = sorted(truth, key=lambda name: -truth[name])
    columns, left, top, wide, row = 3, 178, 64, 200, 17
    high = row * len(channels) + 46
    widest = max(abs(error.value) + error.half for model in models for error in errors_of(seeds, model).values())
    scale = (wide / 2 - 8) / widest
    lines = [
        _text(12, 24, "What models say beyond what channels caused, percentage points of all credit", "title"),
        _text(
            12, 44, f"Mean over {len(seeds)} made-up shops, with 95 % intervals. Right of the line: overrated.", "note"
        ),
    ]
    for number, model in enumerate(models):
        x, y = left + number % columns * (wide + 14), top + number // columns * high
        middle = x + wide / 2
        misplaced = _distance(seeds, model)
        lines.append(_text(x, y + 14, model, "model"))
        lines.append(_text(x + wide, y + 14, f"{misplaced.value:.0%} misplaced", "note end"))
        lines.append(f'<line class="axis" x1="{middle}" x2="{middle}" y1="{y + 20}" y2="{y + high - 22}"/>')
        for place, name in enumerate(channels):
            error, at = errors_of(seeds, model)[name], y + 24 + place * row
            start, width = middle + min(0.0, error.value) * scale, abs(error.value) * scale
            kind = "over" if error.value > 0 else "under"
            lines.append(f'<rect class="{kind}" x="{start:.1f}" y="{at}" width="{width:.1f}" height="{row - 5}"/>')
            low, up = (middle + (error.value + half) * scale for half in (-error.half, error.half))
            lines.append(
                f'<line class="interval" x1="{low:.1f}" x2="{up:.1f}" y1="{at + 6}" y2="{at + 6}"/>'
                f"<title>{model}, {_escaped(name)}: {100 * error.value:+.1f} ± {100 * error.half:.1f}</title>"
            )
            if number % columns == 0:
                lines.append(_text(left - 10, at + 10, f"{name} ({truth[name]:.0%})", "note end"))
    width, height = left + columns * (wide + 14), top + math.ceil(len(models) / columns) * high
    return _SVG.format(width=width, height=height, content="\n".join(lines))


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"
 role="img">
<style>
svg {{ background: #fff; font: 12px system-ui, sans-serif; }}
text {{ fill: #222; }} .title {{ font-size: 15px; font-weight: 600; }} .model {{ font-weight: 600; }}
.note {{ fill: #555; font-size: 11px; }} .end {{ text-anchor: end; }}
.over {{ fill: #c2571a; }} .under {{ fill: #2f6fa7; }} .axis {{ stroke: #888; }} .interval {{ stroke: #111; }}
</style>
{content}
</svg>
"""


def main() -> None:
    """Make the shops, print the tables, draw the chart."""
    parser = argparse.ArgumentParser(description="how far each model is from what channels truly caused")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many shops; {SEEDS} by default")
    parser.add_argument("--scale", type=float, default=1.0, help="how big they are; 1 has about 3,000 orders")
    parser.add_argument("--chart", type=Path, help="the file of the chart (SVG)")
    options = parser.parse_args()
    seeds = [shop_shares(seed, options.scale) for seed in range(1, options.seeds + 1)]
    print(f"{options.seeds} shops of scale {options.scale:g}, look-back window {LOOKBACK_DAYS} days\n")
    print("\n".join(table(seeds)))
    if options.chart:
        options.chart.write_text(chart(seeds), encoding="utf-8")
        print(f"\n{options.chart}")


if __name__ == "__main__":
    main()
