"""What keeps the demo from running, told in a sentence that says what to do."""


class Trouble(Exception):
    """The demo cannot start or go on; the message is for the person who started it."""
