"""The client of the IHC attribution API: every answer is kept, every failure survived.

`ask.ask` asks for journeys, `ask.credit_of` reads their credit from kept answers, `ask.plan` says what asking costs.
"""
