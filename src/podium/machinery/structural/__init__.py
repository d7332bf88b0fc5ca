"""Structural schemas: what a CustomResourceDefinition says of its objects, compiled.

compiled = StructuralSchema(name, source, meta)      # schema.py: the interface of `machinery.schema.Schema`
definition.schema_errors(source, path)               # what is wrong with the schema itself
"""
