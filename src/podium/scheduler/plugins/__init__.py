"""Scheduler plugins, one file each. They see a pod and the snapshot's columns, and do no I/O."""
