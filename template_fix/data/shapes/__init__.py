"""Rows of one shape: what a template and the checks do to one of them is recorded, and done again to the others."""
