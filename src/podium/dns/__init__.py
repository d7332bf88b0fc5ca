"""Cluster DNS: from Services and EndpointSlices to answers."""
