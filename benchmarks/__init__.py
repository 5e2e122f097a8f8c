"""What a payment costs: time to the first answer, throughput, and billable Temporal actions."""
