"""How is a model doing? Summaries of what was served, that merge by addition."""
