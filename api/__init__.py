"""The process that takes HTTP in and hands work to Temporal."""
