"""Showing it: health and metrics over HTTP.

Starlette, Hypercorn and prometheus-client are imported by :mod:`digestd.web.server` and what stands behind
it, and by nothing else: whoever does without the server does not pay for them.
"""
