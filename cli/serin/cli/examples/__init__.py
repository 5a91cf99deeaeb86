"""The three example tables, so that every path is walked."""
