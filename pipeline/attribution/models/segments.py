"""`journey_arithmetic` under its former name, for `benchmarks/trained_ihc.py` alone."""

from pipeline.attribution.models.journey_arithmetic import each_session

__all__ = ["each_session"]
