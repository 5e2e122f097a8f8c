"""The simulator's own book of money: our code cannot write it, so it is the judge."""

from collections import Counter
from typing import Any

import httpx


def entries(simulator_url: str) -> list[dict[str, Any]]:
    """All of it, oldest first."""
    found: list[dict[str, Any]] = []
    with httpx.Client(base_url=simulator_url) as http:
        while True:
            after = found[-1]["seq"] if found else 0
            page = http.get("/_control/journal", params={"after": after}).json()["data"]
            if not page:
                return found
            found += page


def charges(journal: list[dict[str, Any]]) -> Counter[str]:
    """How many charges each payment's customer has really paid."""
    return Counter(
        entry["metadata"]["payment_id"] for entry in journal if entry["kind"] == "charge.captured"
    )


def captured(journal: list[dict[str, Any]]) -> dict[str, int]:
    """How much was taken for each order, in minor units."""
    taken: Counter[str] = Counter()
    for entry in journal:
        if entry["kind"] == "charge.captured":
            taken[entry["metadata"]["order_id"]] += entry["amount"]
    return dict(taken)
