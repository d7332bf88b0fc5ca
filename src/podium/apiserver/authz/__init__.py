"""Authorisation: one file for each mode."""
