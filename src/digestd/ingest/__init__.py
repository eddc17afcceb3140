"""I/O: getting what sources serve, one supervised task per source."""
