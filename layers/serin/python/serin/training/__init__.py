"""From a table to an artifact: search, fit, measure, export."""
