"""Filters and scores, one file each, over columns of all nodes at once."""
