"""The versioned key-value store: one protocol, several engines."""
