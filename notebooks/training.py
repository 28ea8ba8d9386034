# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # What the journeys teach
#
# The journeys behind a training set, the `ihc-local` model that is learned from them beside the shipped one, and
# how far the models agree on them. This notebook is built from `notebooks/training.py` (`make notebook`); it runs
# the stages that it needs with the settings in force (`DATABASE_URL`, `DATA_DIR`, ...), or finds them done.
# `NOTEBOOK_INTERVAL` is the interval of conversion days that it is about.

# %%
import contextlib
import io
import json
import os

import altair as alt
import luigi
import numpy as np
import pandas as pd
import pyarrow as pa

import pipeline
from pipeline.attribution.models.ihc_parameters import DEFAULT_PARAMETERS, IhcParameters
from pipeline.parameters import IntervalParameter

INTERVAL = IntervalParameter().parse(os.environ.get("NOTEBOOK_INTERVAL", "2023-08-29-2023-09-08"))

of_days = pipeline.Journeys(date_interval=INTERVAL)
trained = pipeline.TrainedModel(date_interval=INTERVAL, conv_type_id="notebook")
compared = pipeline.ModelComparison(date_interval=INTERVAL, model="ihc-local", conv_type_id="default")
with contextlib.redirect_stdout(io.StringIO()):  # what a run prints has paths of this machine
    done = luigi.build([of_days, trained, compared], local_scheduler=True, no_lock=True, log_level="ERROR")
if not done:
    raise RuntimeError("a stage failed; the messages above say why")

# %% [markdown]
# Figures are pictures on white, so that they print as they look and stay readable on a dark page. Nothing is told by
# colour alone: lines differ in dashes, marks in shape, fields carry their number.

# %%
BLUE, ORANGE, GREEN, INK = "#0072b2", "#d55e00", "#00785a", "#222222"


@alt.theme.register("print", enable=True)
def look() -> alt.theme.ThemeConfig:
    """Dark ink on white, for paper and for screens of either mode."""
    text = {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12}
    return {
        "config": {
            "background": "white",
            "padding": 16,
            "font": "sans-serif",
            "title": {"color": INK, "fontSize": 14, "anchor": "start", "offset": 12},
            "axis": {**text, "gridColor": "#dddddd", "domainColor": INK, "tickColor": INK, "labelLimit": 220},
            "legend": {**text, "orient": "top", "symbolStrokeWidth": 2.5, "symbolSize": 150, "labelLimit": 260},
            "header": text,
            "view": {"stroke": None},
        }
    }


alt.renderers.enable("png", scale_factor=2)
alt.data_transformers.disable_max_rows()

journeys = pa.concat_tables(of_days.target(day).read() for day in of_days.days).to_pandas()
journeys["gap_hours"] = journeys.groupby("conv_id", sort=False)["session_time"].diff() / 3600
last = journeys.groupby("conv_id", sort=False)["session_time"].transform("max")
journeys["left_hours"] = (last - journeys["session_time"]) / 3600
lengths = journeys.groupby("conv_id", sort=False).size()
several = journeys[journeys["conv_id"].map(lengths) > 1]

# %% [markdown]
# ## Journey lengths
#
# A model of phases learns nothing from a journey of one session: it is initializer and closer at once.

# %%
print(
    f"{len(lengths):,} journeys with {len(journeys):,} sessions; {(lengths == 1).mean():.1%} have one session, "
    f"the longest has {lengths.max()}"
)
by_length = lengths.clip(upper=10).value_counts(normalize=True).rename("share").rename_axis("sessions").reset_index()
by_length = by_length.sort_values("sessions")
by_length["sessions"] = by_length["sessions"].astype(str).replace("10", "10+")
bars = alt.Chart(by_length, title="Journeys by number of sessions", width=560, height=240).encode(
    x=alt.X("sessions:N", sort=None, title="sessions in the journey", axis=alt.Axis(labelAngle=0)),
    y=alt.Y("share:Q", title="share of journeys", axis=alt.Axis(format=".0%", grid=False)),
)
bars.mark_bar(color=BLUE) + bars.mark_text(dy=-8, color=INK, fontSize=12).encode(text=alt.Text("share:Q", format=".1%"))

# %% [markdown]
# ## Gaps, and time to the conversion
#
# How long the pauses within journeys are, and how long before the last session the others come. The dashed line is
# the shipped restart gap: after a longer pause a journey begins afresh.

# %%
shipped = IhcParameters.load(DEFAULT_PARAMETERS)
MINUTE = 1 / 60


def cumulative(hours: pd.Series, kind: str) -> pd.DataFrame:
    """The share of sessions up to each of the hours, at 200 places; shorter ones count as a minute."""
    shares = np.linspace(0.005, 1, 200)
    return pd.DataFrame({"hours": np.quantile(hours.clip(lower=MINUTE), shares), "share": shares, "kind": kind})


gaps = several["gap_hours"].dropna()
earlier = several.loc[several["left_hours"] > 0, "left_hours"]
print(
    f"median gap {gaps.median():.1f} h, {(gaps > shipped.restart_gap_hours).mean():.1%} are above "
    f"{shipped.restart_gap_hours:.1f} h; median time to the last session {earlier.median():.1f} h"
)
spans = pd.concat([cumulative(gaps, "since the previous session"), cumulative(earlier, "until the last session")])
ticks = alt.Axis(values=[MINUTE, 0.1, 1, 6, 24, 72, 240], labelExpr="datum.value < 0.1 ? '1 min' : datum.value")
lines = (
    alt.Chart(spans)
    .mark_line(strokeWidth=2.5)
    .encode(
        x=alt.X("hours:Q", scale=alt.Scale(type="log", nice=False), title="hours (log scale)", axis=ticks),
        y=alt.Y("share:Q", title="share of sessions up to it", axis=alt.Axis(format=".0%")),
        color=alt.Color("kind:N", scale=alt.Scale(range=[BLUE, ORANGE]), title=None),
        strokeDash=alt.StrokeDash("kind:N", scale=alt.Scale(range=[[1, 0], [8, 3]]), title=None),
    )
)
restart = alt.Chart(pd.DataFrame({"hours": [shipped.restart_gap_hours]})).mark_rule(color=INK, strokeDash=[2, 3])
(restart.encode(x="hours:Q") + lines).properties(title="Hours in journeys of several sessions", width=560, height=260)

# %% [markdown]
# ## Engagement by channel
#
# The share of a channel's sessions in journeys that carry each flag.

# %%
FLAGS = {"holder_engagement": "holder", "closer_engagement": "closer", "impression_interaction": "impression"}
engagement = journeys.groupby("channel_name")[[*FLAGS]].mean().rename(columns=FLAGS)
engagement["sessions"] = journeys.groupby("channel_name").size()
order = engagement.sort_values("sessions", ascending=False).index.tolist()
long = engagement.reset_index().melt(["channel_name", "sessions"], var_name="engagement", value_name="share")
(
    alt.Chart(long, title="Engaged share of each channel's sessions, most sessions first", width=520)
    .mark_point(size=90, strokeWidth=2.5, opacity=1)
    .encode(
        x=alt.X("share:Q", title="share of sessions", axis=alt.Axis(format=".0%")),
        y=alt.Y("channel_name:N", sort=order, title=None, axis=alt.Axis(grid=True)),
        color=alt.Color("engagement:N", scale=alt.Scale(range=[ORANGE, BLUE, GREEN]), title=None),
        shape=alt.Shape("engagement:N", scale=alt.Scale(range=["square", "circle", "triangle-up"]), title=None),
    )
)

# %% [markdown]
# ## Learned curves beside the shipped ones
#
# Membership as initializer by the hours since the previous session, as closer by the hours until the last one. The
# band lies between the curves through the lower and through the upper bounds of the bootstrap.

# %%
document = trained.output().read()
counts, fallbacks = document["trained_on"], document["fallbacks"]
print(f"learned from {counts['journeys']:,} journeys; fallen back to the shipped parameters: {fallbacks or 'nothing'}")
CURVES = ("restart_gap_hours", "initializer_gap_hours", "initializer_membership", "closer_membership_segments")


def memberships(parameters: IhcParameters) -> pd.DataFrame:
    """Both curves at every tenth of an hour."""
    hours = np.arange(0, 70, 0.1)
    initializer = np.where(hours > parameters.restart_gap_hours, 1.0, parameters.initializer_curve.at(hours))
    columns = {"initializer": initializer, "closer": parameters.closer_curve.at(hours)}
    return pd.DataFrame({"hours": hours, **columns}).melt("hours", var_name="phase", value_name="membership")


def bound(name: str) -> pd.Series:
    """The curves through these bounds; where nothing was learned, those in force."""
    bounds = document["intervals"].get(name, {})
    parameters = {**document, **{curve: bounds[curve] for curve in CURVES if curve in bounds}}
    return memberships(IhcParameters.from_json(json.dumps(parameters), name))["membership"]


in_force = IhcParameters.from_json(json.dumps(document), "learned")
learned = memberships(in_force).assign(model="learned")
band = learned.assign(low=np.minimum(bound("lower"), bound("upper")), high=np.maximum(bound("lower"), bound("upper")))
end = in_force.closer_curve.hours[-1]
band = band[(band["phase"] == "initializer") | (band["hours"] <= end)]  # beyond it the closer curve is not learned
hours = alt.X("hours:Q", title="hours")
area = alt.Chart(band).mark_area(opacity=0.25, color=BLUE).encode(x=hours, y="low:Q", y2="high:Q")
curves = (
    alt.Chart(pd.concat([learned, memberships(shipped).assign(model="shipped")]))
    .mark_line(strokeWidth=2.5)
    .encode(
        x=hours,
        y=alt.Y("membership:Q", title="membership", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("model:N", scale=alt.Scale(range=[BLUE, ORANGE]), title=None),
        strokeDash=alt.StrokeDash("model:N", scale=alt.Scale(range=[[1, 0], [6, 4]]), title=None),
    )
)
alt.hconcat(
    *(
        alt.layer(*(part.transform_filter(alt.datum.phase == phase) for part in (area, curves))).properties(
            title=f"{phase.capitalize()}: hours {since}", width=320, height=240
        )
        for phase, since in {"initializer": "since the previous session", "closer": "until the last session"}.items()
    )
)

# %% [markdown]
# ## Learned channel weights
#
# Above 1, a channel's sessions weigh more in the phase than their times alone say. Bars are bootstrap intervals; hollow
# diamonds are the shipped weights of the channels that these have in common.

# %%
PHASES = ("initializer", "holder", "closer")


def weights(parameters: dict, name: str) -> pd.DataFrame:
    """Channel, phase, weight."""
    rows = [
        (channel, phase, of_channel[phase])
        for channel, of_channel in parameters.get("channel_weights", {}).items()
        for phase in PHASES
    ]
    return pd.DataFrame(rows, columns=["channel_name", "phase", name])


key = ["channel_name", "phase"]
of_channels = weights(document, "learned")
for name, parameters in {
    "low": document["intervals"].get("lower", {}),
    "high": document["intervals"].get("upper", {}),
    "shipped": json.loads(DEFAULT_PARAMETERS.read_bytes()),
}.items():
    of_channels = of_channels.merge(weights(parameters, name), on=key, how="left")
one = alt.Chart(of_channels).mark_rule(color=INK, strokeDash=[2, 3]).encode(x=alt.datum(1))
place = alt.Y("channel_name:N", sort=order, title=None, axis=alt.Axis(grid=True))
weight = alt.X("low:Q", title="weight", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4))
parts = alt.layer(
    one,
    alt.Chart().mark_rule(color=BLUE, strokeWidth=3).encode(weight, place, x2="high:Q"),
    alt.Chart().mark_point(color=BLUE, filled=True, size=60, opacity=1).encode(alt.X("learned:Q"), place),
    alt.Chart()
    .mark_point(color=ORANGE, shape="diamond", size=90, strokeWidth=2, opacity=1)
    .encode(alt.X("shipped:Q"), place),
    data=of_channels,
)
parts.properties(width=190).facet(alt.Column("phase:N", sort=[*PHASES], title=None)).properties(
    title="Channel weights: learned (dot, 95 % interval) and shipped (diamond)"
)

# %% [markdown]
# ## Do the models agree?
#
# First the order in which two models put the channels (Spearman's rank correlation of attributed conversions), then
# how many percentage points of all conversions each model gives a channel more or less than `ihc-local`.

# %%
correlations = pd.read_csv(compared.target("rank_correlations.csv").open())
columns, rows = (correlations[name].unique().tolist() for name in ("model", "other_model"))
grid = alt.Chart(correlations, title="Rank correlation between models", width=420, height=300).encode(
    x=alt.X("model:N", sort=columns, title=None, axis=alt.Axis(labelAngle=-40)),
    y=alt.Y("other_model:N", sort=rows, title=None),
)
lowest = min(0.9, float(correlations["spearman"].min()))
apart = alt.Scale(range=["#e8925c", "#ffffff"], domain=[lowest, 1], interpolate="rgb")
(
    grid.mark_rect(stroke="#dddddd").encode(alt.Color("spearman:Q", scale=apart, legend=None))
    + grid.mark_text(color=INK, fontSize=12).encode(text=alt.Text("spearman:Q", format=".3f"))
)

# %%
table = compared.target("models.parquet").read().to_pandas()
other = table[table["model"] != "ihc-local"].copy()
other["points"] = (100 * other["share_difference"]).round(1)
sure = (other["share_difference_low"] > 0) | (other["share_difference_high"] < 0)
other["label"] = np.where(other["points"] == 0, "0", other["points"].map("{:+.1f}".format)) + np.where(sure, "*", "")
by_share = table[table["model"] == "ihc-local"].sort_values("share", ascending=False)["channel_name"].tolist()
field = alt.Chart(other, width=440, height=400).encode(
    x=alt.X("model:N", sort=rows, title=None, axis=alt.Axis(labelAngle=-40)),
    y=alt.Y("channel_name:N", sort=by_share, title=None),
)
furthest = max(0.1, float(other["points"].abs().max()))
less_or_more = alt.Scale(range=["#e8925c", "#ffffff", "#6aaed6"], domain=[-furthest, 0, furthest], interpolate="rgb")
(
    field.mark_rect(stroke="#dddddd").encode(alt.Color("points:Q", scale=less_or_more, legend=None))
    + field.mark_text(color=INK, fontSize=11).encode(text="label:N")
).properties(title="Percentage points more or less than ihc-local (* = 95 % interval without 0)")
