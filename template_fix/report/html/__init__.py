"""Renders the results of a command as a page for browsers: one file without scripts and external resources."""
