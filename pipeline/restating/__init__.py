"""Days of the source read again, with all that they touch rebuilt."""
