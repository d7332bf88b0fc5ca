"""The resources of the API group core (the legacy group, without a name)."""
