"""What every room stands on: time, ids, back-off, logging, keys and certificates, HTTP."""
