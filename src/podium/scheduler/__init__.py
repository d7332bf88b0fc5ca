"""kube-scheduler: from a pod without a node to a binding."""
