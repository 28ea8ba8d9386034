"""The IHC attribution API: journeys in, credit out, every answer kept, every failure survived.

`attribution.attribute` is the way in; `planning.plan` says what it would cost.
"""
