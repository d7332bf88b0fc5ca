"""The container runtime interface: the client, and a fake for tests and simulated nodes."""
