"""How a payment begins, whoever asks for it: over HTTP, or through the message broker."""
