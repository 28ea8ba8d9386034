"""The marketing-attribution pipeline: every task, found here by `luigi --module pipeline <Task>`."""

from pipeline import scheduling

scheduling.apply_defaults()
scheduling.explain_errors()
scheduling.wait_for_other_workers()

from pipeline.attribution.tasks import Attribution  # noqa: E402 - the tasks' parameters need Luigi's defaults in place
from pipeline.journeys.tasks import Journeys  # noqa: E402
from pipeline.reporting.tasks import (  # noqa: E402
    ChannelReport,
    ChannelReportingTable,
    Reconciliation,
    Report,
    StoredAttribution,
    UnattributedConversions,
)
from pipeline.source.tasks import (  # noqa: E402
    ChannelCosts,
    Conversions,
    InitDatabase,
    SessionCosts,
    Sessions,
    UndatedRows,
)

__all__ = [
    "Attribution",
    "ChannelCosts",
    "ChannelReport",
    "ChannelReportingTable",
    "Conversions",
    "InitDatabase",
    "Journeys",
    "Reconciliation",
    "Report",
    "SessionCosts",
    "Sessions",
    "StoredAttribution",
    "UnattributedConversions",
    "UndatedRows",
]
