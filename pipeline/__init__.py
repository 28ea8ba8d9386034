"""The marketing-attribution pipeline: every task, found here by `luigi --module pipeline <Task>`."""

import os

# Arrow's own pool keeps memory that it no longer uses.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # before the first import of pyarrow

from pipeline import scheduling, waiting

scheduling.apply_defaults()
scheduling.explain_errors()
waiting.wait_for_other_workers()

from pipeline.attribution.tasks import AnsweredDays, Attribution, AttributionPlan  # noqa: E402 - the tasks' parameters need Luigi's defaults in place
from pipeline.comparison.tasks import (  # noqa: E402
    ComparedChannels,
    ComparedChannelsCsv,
    LookbackSensitivity,
    ModelComparison,
    RankCorrelations,
)
from pipeline.explaining.tasks import ExplainConversion  # noqa: E402
from pipeline.journeys.tasks import Journeys  # noqa: E402
from pipeline.reporting.table_tasks import ChannelReportingTable, StoredAttribution  # noqa: E402
from pipeline.reporting.tasks import (  # noqa: E402
    ChannelPhases,
    ChannelReport,
    Reconciliation,
    Report,
    UnattributedConversions,
)
from pipeline.source.tasks import (  # noqa: E402
    ChannelCosts,
    Conversions,
    InitDatabase,
    Sessions,
    UndatedRows,
)
from pipeline.training.tasks import (  # noqa: E402
    HeldOutCsv,
    SampledJourneys,
    TrainedModel,
    TrainingCsv,
    TrainingJson,
    TrainingSet,
    TrainingStatistics,
)

__all__ = [
    "AnsweredDays",
    "Attribution",
    "AttributionPlan",
    "ChannelCosts",
    "ChannelPhases",
    "ChannelReport",
    "ChannelReportingTable",
    "ComparedChannels",
    "ComparedChannelsCsv",
    "Conversions",
    "ExplainConversion",
    "HeldOutCsv",
    "InitDatabase",
    "Journeys",
    "LookbackSensitivity",
    "ModelComparison",
    "RankCorrelations",
    "Reconciliation",
    "Report",
    "SampledJourneys",
    "Sessions",
    "StoredAttribution",
    "TrainedModel",
    "TrainingCsv",
    "TrainingJson",
    "TrainingSet",
    "TrainingStatistics",
    "UnattributedConversions",
    "UndatedRows",
]
