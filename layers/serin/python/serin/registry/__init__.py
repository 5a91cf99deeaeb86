"""What exists, who answers, and how it came to be: plain values over two small ports."""
