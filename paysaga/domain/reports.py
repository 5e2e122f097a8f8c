"""A comparison of a period: what it covers and what it has come to so far."""

from pydantic import AwareDatetime

from paysaga.domain.message import Message


class Report(Message):
    """What was compared, and how far it has come. `finished_at` closes it.

    `parked` counts payments that agree with themselves and wait for a person; `without_run` those
    whose run is past the retention, so that only database and gateway were compared; `movements`
    the gateway's balance transactions, `fees_booked` the payments whose fee was not in the books.
    """

    id: str
    since: AwareDatetime
    until: AwareDatetime
    actor: str
    request_fingerprint: str | None = None
    compared: int = 0
    agreed: int = 0
    parked: int = 0
    without_run: int = 0
    movements: int = 0
    fees_booked: int = 0
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None
