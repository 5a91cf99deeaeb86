"""The mergeable summary of a table."""
