"""The resources of the API group autoscaling."""
