"""The pages as HTML. The door to Jinja2."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from digestd import __version__
from digestd.feed.text import strip_controls

TEMPLATES = ("front", "source", "missing", "away", "sign_in", "shut")


class Renderer:
    """Renders templates by name. All of them are compiled when it is made, so that no request pays for that.

    Every value is escaped, and has no control or bidirectional character, whatever the templates forget.
    """

    def __init__(self) -> None:
        self.style = _file("style.css")
        self.icon = _file("icon.svg")
        environment = Environment(
            loader=PackageLoader("digestd.web.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        environment.globals.update(version=__version__, style_path=self.style_path)
        self._templates = {name: environment.get_template(f"{name}.html") for name in TEMPLATES}

    @property
    def style_path(self) -> str:
        """Where the style sheet is: elsewhere when it changes, so that browsers may keep it for ever."""
        return f"/style-{hashlib.sha256(self.style).hexdigest()[:12]}.css"

    def render(self, template: str, **values: Any) -> str:
        """The page that `template` makes of `values`."""
        return self._templates[template].render(values)


def _shown(value: Any) -> Any:
    """`value` as it goes into a template; Markup comes from templates alone."""
    return strip_controls(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _file(name: str) -> bytes:
    return (resources.files("digestd.web.pages") / "static" / name).read_bytes()
