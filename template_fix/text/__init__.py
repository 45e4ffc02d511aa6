"""Edits text without changing any other byte, and makes texts of strangers safe to show."""
