"""The smallest edits that hold."""
