"""Mails: which one an event means, for whom, in what words, and how it is handed over."""
