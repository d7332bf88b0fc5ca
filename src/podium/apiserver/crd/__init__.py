"""Custom resources: definitions become served resources while the server runs.

    definitions.py   follows the definitions: serves what they define, keeps their status, cleans up
    names.py         which names a definition gets, and what its conditions say (pure)
    resources.py     a definition's versions as `Resource` values (pure)
    served.py        how objects that are stored in one version are read and written in another
    webhook.py       conversion by a webhook

Imported when the first definition appears.
"""
