"""The protocols besides our own."""
