"""Admission by webhooks: somebody else's server looks at a write, may change it, and may refuse it.

plugin.py follows the configurations; hook.py is one compiled webhook; review.py speaks AdmissionReview;
dispatch.py calls the webhooks that want a write, those that change it in order, those that judge it at once.
"""
