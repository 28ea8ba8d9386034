"""The comparison of models that a page shows: where it lies, and whether it is of the same credit and spend.

A comparison is made beside a report, often after it, and a report never waits for one. So the page notes the digest of
the comparison that it shows, and is due again when another one, or none, lies there: as with the days before, nothing
but the page's own note decides, and a run without a change makes nothing. A comparison that has just been made renews
the page by the same rule, so that nobody has to run the report again to see it.
"""

from __future__ import annotations

from pipeline.goals import with_goal
from pipeline.reporting.daily_tasks import ChannelCredit
from pipeline.source.tasks import ChannelCosts
from targets.files import Files
from targets.fingerprint import fingerprint
from targets.text import CsvTarget

MODELS_CSV = "models.csv"
LOOKBACK_SENSITIVITY = "lookback_sensitivity.csv"
DISAGREEMENTS = "disagreements.csv"
SHOWN = (MODELS_CSV, LOOKBACK_SENSITIVITY, DISAGREEMENTS)
"""The files of a comparison that the page reads."""

MADE_OF = "made_of"
"""The note of each of them: a digest of the primary model's credit and the spend that it sets side by side."""


def comparison_folder(model: str, goal: str | None, interval: object) -> str:
    """Where the comparison of a primary model with others is, in the data directory."""
    return f"{with_goal(f'comparison/{model}', goal)}/{interval}"


def made_of(credit: ChannelCredit, costs: ChannelCosts) -> str:
    """The digest of a model's credit by channel and of the spend of the same days."""
    spent = costs.contents()
    return fingerprint({"credit": [*credit.contents().values()], "costs": [spent[day] for day in credit.days]})


def comparison_of(files: Files, folder: str, expected: str) -> tuple[dict[str, str], str]:
    """The texts of a comparison's files, and a digest of them; nothing and "" unless all are of the expected credit.

    Raises `UnreadableTargetError`.
    """
    targets = {name: CsvTarget(files, f"{folder}/{name}") for name in SHOWN}
    stamps = {name: target.stamp() for name, target in targets.items()}
    if any(stamp is None or stamp.notes.get(MADE_OF) != expected for stamp in stamps.values()):
        return {}, ""
    contents = {name: stamp.content for name, stamp in stamps.items() if stamp}
    return {name: target.read_text() for name, target in targets.items()}, fingerprint(contents)
