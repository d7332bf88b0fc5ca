"""exec, attach, port-forward, logs and proxy: byte streams to a kubelet."""
