"""What the floor does after its own facts."""
