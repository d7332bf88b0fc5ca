"""kubelet: from a pod bound to this node to running containers and their status."""
