"""API versions that upstream has removed, served on request (`--runtime-config=api/legacy=true`).

An old version is a `Resource` whose objects are stored in the current version: a schema derived from the
current one (`machinery.derived`), the old defaults, and two conversions that lose nothing. `catalogue` lists
them all, and is imported only where they are served.

Not among them is PodSecurityPolicy: nothing enforces it any more, and to accept a policy that nobody keeps
would promise what it does not hold. A manifest with one gets upstream's answer, that there is no such kind.
"""
