"""`podium audit`: what in a cluster, or in manifests, is less safe or less sound than it could be.

`catalogue.py` lists the rules · `checks/` one file a family, pure functions over objects · `judge.py` asks
them all · `manifests.py` and `live.py` bring the objects · `output/` text, JSON, SARIF.
"""
