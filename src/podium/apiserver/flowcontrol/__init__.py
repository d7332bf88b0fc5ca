"""API Priority and Fairness. So far: the references of flow schemas; requests are not queued yet."""
