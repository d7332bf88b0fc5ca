"""Encryption at rest: what `--encryption-provider-config` asks for, between the API server and its store."""
