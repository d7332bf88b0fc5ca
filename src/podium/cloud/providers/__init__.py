"""Providers that come with Podium."""
