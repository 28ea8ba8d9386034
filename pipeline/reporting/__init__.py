"""Credit turned into tables, the channel report and its reconciliation."""
