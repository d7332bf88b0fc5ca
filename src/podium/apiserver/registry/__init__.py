"""The generic create, read, update, delete that every resource shares; subresources."""
