"""Zones: their files, how they are built and proved, and where a position lies among them."""
