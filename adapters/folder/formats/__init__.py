"""File formats, one module each. Readers are pure: ``bytes → ParsedPayload``."""
