"""The parts of which the stacks are composed, one concern each."""
