"""The forms in which others ask: each reads rows for the one data plane, and writes its answer."""
