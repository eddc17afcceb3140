"""The samples of `digestd demo` and the loopback server that serves them."""
