"""Writes all files of a change or none, takes it back, and keeps what was found out of a template."""
