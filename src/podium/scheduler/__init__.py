"""The scheduler: finds a node for each pod, by columns over all nodes. Alone in the house in using NumPy."""
