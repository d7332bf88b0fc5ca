"""The resources of the API group policy."""
