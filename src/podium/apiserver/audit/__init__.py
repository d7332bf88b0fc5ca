"""Audit logging: who asked for what, when, and what became of it, as far as a policy wants to know.

`audit.py` follows requests and composes the room · `policy_file.py`, `policy.py` which requests ·
`record.py` what is known of one · `event.py` its events · `buffered.py`, `truncate.py`, `log.py`,
`webhook.py` where they go.
Nothing here is imported by a server that audits nothing, but for its metrics.
"""
