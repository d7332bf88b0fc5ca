"""Workloads as extensions/v1beta1, apps/v1beta1 and apps/v1beta2 had them."""
