"""Where repairs come from: one file a proposer."""
