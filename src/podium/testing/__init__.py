"""Podium for tests: a cluster in a fixture, a fake clock."""
