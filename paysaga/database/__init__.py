"""Rows: what others read of a payment, and the inbox of gateway events."""
