"""The one async client of the API."""
