"""Side effects: one class for each connection."""
