"""The resources of the API group batch."""
