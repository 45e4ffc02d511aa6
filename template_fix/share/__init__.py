"""Shares a repair on the Hub, as a pull request or as a repository."""
