"""API versions that upstream has removed, served on request (`--runtime-config=api/legacy=true`).

An old version is a `Resource` whose objects are stored in the current version: a schema derived from the
current one (`machinery.derived`), the old defaults, and two conversions that lose nothing. `catalogue` lists
them all, and is imported only where they are served.

PodSecurityPolicy, which has no current version, is stored as itself; nothing enforces it.
"""
