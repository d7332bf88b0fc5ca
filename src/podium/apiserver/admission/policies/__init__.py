"""Admission policies: rules and changes written in CEL, bound to requests and to parameters.

plugin.py follows policies and bindings; compiled.py is one of them, compiled; params.py finds what
parametrises a binding; validating.py and mutating.py do what the policies say; patching.py is how objects are
changed.
"""
