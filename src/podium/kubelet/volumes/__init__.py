"""Volume kinds, one file each."""
