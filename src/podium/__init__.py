"""Podium: Kubernetes in Python. `docs/architecture.md` is the map."""
