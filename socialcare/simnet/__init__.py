"""The simulated networks: a process of its own over HTTP, own ledger file; imports nothing of ours."""
