"""kube-proxy: from Services and EndpointSlices to nftables rules."""
