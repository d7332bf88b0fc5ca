"""Subresources with bodies or rules of their own, one file each; `table` collects them."""
