"""PURE: what the page of an article says, and whether it may be fetched."""
