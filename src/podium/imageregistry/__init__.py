"""Local image tools: build an OCI image without Docker, load it on a node."""
