"""From pending articles to their text: claimed, fetched in their host's turn, read in workers, recorded."""
