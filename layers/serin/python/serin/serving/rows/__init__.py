"""From the bytes of a request to what a graph reads."""
