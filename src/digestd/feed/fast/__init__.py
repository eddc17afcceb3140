"""The fast path: well-formed RSS, RDF and Atom read over expat, to exactly what feedparser makes of it.

It knows the part of feedparser that entries come from and nothing else. Whatever it is not sure of is a
:class:`~digestd.feed.fast.doubt.Doubt`, and feedparser's to read.
"""
