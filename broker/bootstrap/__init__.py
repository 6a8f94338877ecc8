"""Puts the parts together: with the command line, the only place that imports the doors."""
