"""Ingresses, their classes and network policies as extensions and networking.k8s.io/v1beta1 had them."""
