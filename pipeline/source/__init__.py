"""Sessions, conversions and costs, read from a SQL database one UTC day at a time."""
