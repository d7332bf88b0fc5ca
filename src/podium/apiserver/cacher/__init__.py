"""The watch cache: encoded bytes, indexes, and the fan-out of events."""
