"""Benchmarks and drills: the product as it runs, beside the limits of the machine it runs on."""
