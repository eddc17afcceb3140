"""The status page: what people see of the daemon in a browser.

Everything on it that came from outside is text: templates escape it, control and bidirectional characters never get
there, and only `http` and `https` become links.
"""

from digestd.web.pages.routes import StatusPages

__all__ = ["StatusPages"]
