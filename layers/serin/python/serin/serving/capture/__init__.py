"""What is kept of predictions."""
