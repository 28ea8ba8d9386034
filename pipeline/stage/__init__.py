"""What all stages share: an interval, its parts, which of them are missing or stale, progress, locks.

A stage is one task over an interval of days. Its parts are the files that it leaves behind: one a day, or those of a
report. It is complete when every part is there and was made from the present inputs and settings. `run` makes the
parts that are not, and writes each whole before the next; so a run that stops anywhere resumes at the part.

    stage   what a stage says of itself, what Luigi asks of it, and its run
    parts   the parts of a stage, made on several processors, and their errors
    lock    the lock that one run of a stage holds while another waits
    look    what one look at many stages has found
    telling what a stage tells of its run
"""

from pipeline.stage.parts import Part, counted, raise_together
from pipeline.stage.stage import RUN, IntervalStage, Stage
from pipeline.stage.telling import STAGE_RAN, Ran, ran, stage_at_work

__all__ = [
    "RUN",
    "STAGE_RAN",
    "IntervalStage",
    "Part",
    "Ran",
    "Stage",
    "counted",
    "raise_together",
    "ran",
    "stage_at_work",
]
