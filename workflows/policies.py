"""Timeouts and retries, each with its reason."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig, LocalActivityConfig

with workflow.unsafe.imports_passed_through():
    from activities.records import NOT_WRITABLE

from workflows import addresses

# A row is written in milliseconds or the database is away. Then it is tried for a little while, and
# after that by an activity of its own, which does not fill the history: without its row a payment
# must not take another step. What the database will never take is a bug: it fails the workflow
# task, for everybody to see, until it is mended.
DATABASE: Final = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=100),
        maximum_interval=timedelta(seconds=10),
        maximum_attempts=8,  # about 13 s, if each try fails at once
        non_retryable_error_types=[NOT_WRITABLE],
    ),
)

# What a request asks for is always written by an activity of its own: the request is in the history
# only once the workflow task that heard it is done, and until then it may be lost. A bug shows as
# an activity that fails again and again.
DATABASE_IN_PATIENCE: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=10)
    ),
)

# An HTTP call that is not answered ends after 25 s; an activity may make several, and what is
# cut off after 30 s is as unknown as what was not answered. One try at a time: between two of them
# the workflow hears what has happened meanwhile (a cancel, the end of the hold), so that no try
# follows one.
STRIPE: Final = ActivityConfig(
    task_queue=addresses.GATEWAY,
    start_to_close_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(maximum_attempts=1),
)

# Between two tries while the gateway does not answer: at most four minutes, so that the money's
# outcome is known within five of its return. A passing fault is over before the third try; then the
# payment says that the gateway does not answer. A try adds about eleven events: one that is away
# for a week is asked every hour from then on, so that the history of a run that waits for it stays
# far below the server's limit of 51,200 events.
GATEWAY_PAUSE_MIN: Final = timedelta(seconds=1)
GATEWAY_PAUSE_MAX: Final = timedelta(minutes=4)
PASSING_FAULTS: Final = 2
# While our own breaker keeps us from asking, it says when to come again, about once a minute. After
# an hour of that the pauses grow, too.
SHORT_OUTAGE: Final = timedelta(hours=1)
LONG_OUTAGE: Final = timedelta(days=7)
LONG_OUTAGE_PAUSE: Final = timedelta(hours=1)

# Stripe forgets an idempotency key after 24 h at the earliest. Well before that a repeat gets a
# key of its own, after a look that proves that the first had no effect.
KEY_LIFE: Final = timedelta(hours=20)

# A read may lag behind a call that failed on the gateway's side: absence is believed only later.
SETTLING: Final = timedelta(seconds=20)

# The gateway has the money's outcome in its hands (a bank debit, say) and tells us by webhook;
# a lost one is made up for by looking.
LOOK_MIN: Final = timedelta(seconds=15)
LOOK_MAX: Final = timedelta(hours=1)

# How often an owner may ask one run to look: the first times at will, then not so often. A look
# adds about a dozen events to its history, which the server ends at 51,200; webhooks and deadlines
# make it look all the same.
REFRESHES_AT_WILL: Final = 20
REFRESH_PAUSE: Final = timedelta(minutes=10)

# A page of payments is read one after the other. What the gateway does not tell is asked again by
# the reconciliation, and reported as not compared in the end: here only a lost worker is replaced.
AUDIT: Final = ActivityConfig(
    task_queue=addresses.GATEWAY,
    start_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=timedelta(minutes=2),
    retry_policy=RetryPolicy(maximum_attempts=3, maximum_interval=timedelta(minutes=1)),
)
# A page of movements is one call, and one more for each refund. Without it nobody sees money that
# no payment of ours has.
MOVEMENTS: Final = AUDIT | {
    "retry_policy": RetryPolicy(maximum_attempts=8, maximum_interval=timedelta(minutes=4))
}

# A difference counts only if a second look shows it, too: the first may have met a payment in
# mid-step. Who is not answered by then is asked once more.
LOOKS_AGAIN_AFTER: Final = (SETTLING, timedelta(minutes=2))

# A page adds some dozens of events to the history. The run goes on as a new one well before the
# server would suggest it.
PAGES_PER_RUN: Final = 25

# The daily comparison goes back two days: a fee may be known an hour later, and a day on which
# nothing worked is made up for by the next.
DAILY_PERIOD: Final = timedelta(days=2)

# Temporal itself is asked for something: it is there, or nothing goes on anyway.
TEMPORAL: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=10)
    ),
)

# Up to a hundred runs, each asked about with up to four calls, some of them at once.
RUNS: Final = TEMPORAL | {"start_to_close_timeout": timedelta(minutes=2)}

# The gateway's list of events: what a sweep does not hear the next one does, a minute later.
EVENT_LIST: Final = ActivityConfig(
    task_queue=addresses.GATEWAY,
    start_to_close_timeout=timedelta(seconds=40),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3),
)

# A batch of the inbox is worked off in seconds. It fails only while Temporal or the database is
# away. An event that was tried is not tried again by the same sweep: a repeat goes on with others.
INBOX: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=20),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=5),
)

# The order service is near and idempotent: one quick try inside the workflow task costs no
# further step; only when it does not answer does the call become an activity of its own.
ORDERS_QUICK: Final = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=4),
    retry_policy=RetryPolicy(maximum_attempts=1),
)
ORDERS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
    ),
)

# Handing events over takes some seconds, and then it says how far it has come; the last of them (a
# mail, say) may take two minutes. What goes wrong on the other side is an answer; an error is ours.
DELIVERIES: Final = ActivityConfig(
    task_queue=addresses.DELIVERIES,
    start_to_close_timeout=timedelta(minutes=10),
    heartbeat_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
    ),
)
# What a sweep does not come to with sinks the next one does, a minute later.
SINKS: Final = TEMPORAL | {"retry_policy": RetryPolicy(maximum_attempts=3)}
# A sink that has more to hand over, but handed nothing over, waits for another transaction on the
# database's server to end.
SETTLING_PAUSE: Final = timedelta(seconds=10)
