"""What speaks to providers: one module each."""
