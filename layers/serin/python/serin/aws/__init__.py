"""The only package of the library that touches AWS."""
