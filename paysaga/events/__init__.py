"""What the world is told: the public form of every change."""
