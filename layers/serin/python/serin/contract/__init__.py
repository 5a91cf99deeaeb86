"""The nouns users write, and the serving spec they compile to."""
