"""What the service shows over HTTP beside its doors."""
