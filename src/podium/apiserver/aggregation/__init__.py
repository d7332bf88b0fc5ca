"""API aggregation: groups and versions that another API server answers, behind this one's address.

    APIService changes -> aggregator (in the loop, at once): routes change
                       -> availability (a task): is it there? -> condition Available
                       -> discovery, openapi (tasks): what does it serve? -> merged documents
    request -> authn, authz of this server -> proxy -> the extension server, told who asks

Loaded when the first APIService needs it; most clusters have none.
Upstream: staging/src/k8s.io/kube-aggregator.
"""
