"""Drills: the product is hurt on purpose, then counted."""
