"""Pure: what is worth telling, and how it reads."""
