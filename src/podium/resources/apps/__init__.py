"""The resources of the API group apps."""
