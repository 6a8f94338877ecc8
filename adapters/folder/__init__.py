"""The door for dropped files: watched folders in, durable receipts out."""
