"""The rates of clinics, groups and divisions: what they are, what they will be, what would help."""
