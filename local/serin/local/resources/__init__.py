"""What the resources of a template become: a module for each service."""
