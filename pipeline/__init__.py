"""The marketing-attribution pipeline."""
