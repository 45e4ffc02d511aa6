"""What a template owes to a conversation, and the judge."""
