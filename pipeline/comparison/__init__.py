"""What the models say beside each other, on the same journeys."""
