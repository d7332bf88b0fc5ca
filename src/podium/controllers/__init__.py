"""kube-controller-manager: one file for each controller."""
