"""What is promised about speed, measured: `make bench`. What each shows stands in README.md."""
