"""What happens in which order: durable and deterministic, without side effects."""
