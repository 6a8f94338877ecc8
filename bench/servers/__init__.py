"""Servers that the intake is measured beside. Each prints ``ready PORT`` and runs until killed."""
