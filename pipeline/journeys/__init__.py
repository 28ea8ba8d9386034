"""Sessions and conversions joined to journeys."""
