"""Changes text, and touches no other byte."""
