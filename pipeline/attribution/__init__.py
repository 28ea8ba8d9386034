"""Journeys turned into credit: each session gets its share of the conversion."""
