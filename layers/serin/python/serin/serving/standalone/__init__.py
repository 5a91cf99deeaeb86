"""A version outside AWS: its server, and what predicts without one."""
