"""cloud-controller-manager: what a cluster asks of the place it runs in, behind one interface."""
