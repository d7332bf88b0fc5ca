"""Routes and verbs: from an HTTP request to a call on the registry."""
