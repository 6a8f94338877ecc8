"""Keeping a service at work: what is measured, copied, told and thrown away."""
