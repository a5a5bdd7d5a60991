"""The REST door of this app."""
