"""Killable processes for reading what servers send: feeds, and the pages of articles.

The daemon's side is :mod:`digestd.ingest.workers.pool`; the other modules run inside the workers. Imports nothing, for
a worker passes through here on its way to them and must not pay for Trio.
"""
