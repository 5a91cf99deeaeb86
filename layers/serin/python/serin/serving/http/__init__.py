"""Every form of HTTP: which path is answered by what, and how errors are said."""
