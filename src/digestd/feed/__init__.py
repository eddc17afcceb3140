"""Pure: what documents mean, which entry is which article, when to come back. No I/O, clock or randomness."""
