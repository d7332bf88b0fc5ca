"""The declared API: one file for each resource, grouped by API group.

`podium.resources.<group>.<plural>` exports one `Resource` whose name is the plural in upper case:
`podium.resources.core.pods.PODS`, `podium.resources.apps.deployments.DEPLOYMENTS`. `catalogue.BUILTIN` lists
them all.
"""
