"""A Stripe with state: its wire protocol, its test cards, its webhooks and its bad days.

A separate process that imports nothing else of ours: a mistake shared with the product would hide
itself. Behaviour follows Stripe's OpenAPI document 2026-08-26.dahlia, its documentation and
recordings of it.
"""
