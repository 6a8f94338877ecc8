"""``/api/v1``: what the console does, for programs."""
