"""One conversion explained: its journey, its credit, and what was left out of it."""
