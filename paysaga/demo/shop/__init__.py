"""The little shop: its order service, and pages that a person can buy on."""
