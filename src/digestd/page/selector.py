"""CSS selectors, as an operator writes them. The door to cssselect."""

from __future__ import annotations

from cssselect import HTMLTranslator, SelectorError

LONGEST_SELECTOR = 500


def xpath_of(selector: str) -> str:
    """The XPath expression that finds what the CSS `selector` does (Selectors Level 3, and some of 4). Raises
    ValueError, with a sentence, for text that is none."""
    if len(selector) > LONGEST_SELECTOR:
        raise ValueError(f"is longer than {LONGEST_SELECTOR} characters")
    try:
        return HTMLTranslator().css_to_xpath(selector)
    except SelectorError as error:
        raise ValueError(f"is no CSS selector: {error}") from None
    except RecursionError:
        raise ValueError("is no CSS selector: it is nested too deeply") from None
