"""Many rows at once: files are split, their parts answered side by side, and every row is accounted for."""
