"""Versions of the database of breaks."""
