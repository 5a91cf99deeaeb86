"""The two stacks: what is kept, and what can be made anew."""
