"""One module for each network: what it says becomes items, what we say becomes posts."""
