"""Bytes to objects and back, one file for each media type."""
