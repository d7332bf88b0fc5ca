"""Admission: one file for each plugin."""
