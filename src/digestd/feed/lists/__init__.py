"""PURE: lists of sources: read from what others made, and written for others."""
