"""Every error the pipeline raises.

    PipelineError                 one line for the console: what is wrong, and what to do about it
    ├── SettingsError             a setting is unknown, malformed or contradicts another
    │   └── OwnerError            the result tables are of another model or other settings
    ├── StageError                a stage did not leave what it should
    │   └── LockedError           another run held the stage for too long
    ├── IntervalError             the date interval is empty, reversed or holds a day that is not over
    ├── SourceError               the database cannot be read as sessions, conversions and costs
    │   └── BadRowsError          rows of one day break the rules of the input
    ├── JourneyError              sessions and conversions contradict each other
    ├── AttributionError          a model or the API gave credit that cannot be right
    │   ├── ModelError            unknown model, or parameters that cannot be used
    │   ├── RejectedJourneysError  the API rejected more journeys than allowed
    │   └── ApiError              the API cannot be used
    │       ├── ApiKeyError       the API refused the key, or there is none
    │       └── ApiUnavailableError   it did not answer within the retry budget
    ├── OwnerChangedError         another run made the result tables its own, or took days out, meanwhile
    ├── DeadFeedError         a day has next to nothing of what is usual, and that is not allowed
    └── UnbalancedBooksError      the report's sums do not agree with its inputs

Files and tables have their own errors, in `targets.errors`.
"""


class PipelineError(Exception):
    """A failure that its message explains: logged as one line, without a traceback."""


class SettingsError(PipelineError):
    """A setting is unknown, malformed or contradicts another."""


class OwnerError(SettingsError):
    """The result tables hold days of another model or other settings, and the run does not say what becomes of them."""


class StageError(PipelineError):
    """A stage did not leave what it should."""


class LockedError(StageError):
    """Another run held the stage for too long."""


class IntervalError(PipelineError, ValueError):
    """The date interval is empty, reversed, or holds a day that is not over yet (UTC)."""


class SourceError(PipelineError):
    """The database cannot be read as sessions, conversions and costs."""


class BadRowsError(SourceError):
    """Rows of one day break the rules of the input."""


class JourneyError(PipelineError):
    """Sessions and conversions contradict each other."""


class AttributionError(PipelineError):
    """A model or the API gave credit that cannot be right."""


class ModelError(AttributionError):
    """The model is unknown, or its parameters cannot be used."""


class RejectedJourneysError(AttributionError):
    """The API rejected more journeys than allowed."""


class ApiError(AttributionError):
    """The attribution API cannot be used."""


class ApiKeyError(ApiError):
    """The attribution API refused the key, or there is none."""


class ApiUnavailableError(ApiError):
    """The attribution API did not answer within the retry budget."""


class OwnerChangedError(PipelineError):
    """Another run made the result tables its own, or took days out of them, while this one was going on."""


class DeadFeedError(PipelineError):
    """A day of the interval has next to nothing of what is usual, and DEAD_FEED=fail does not allow that."""


class UnbalancedBooksError(PipelineError):
    """The report's sums do not agree with its inputs."""
