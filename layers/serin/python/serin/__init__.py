"""Serin: from a table of data to a prediction endpoint that looks after itself."""
