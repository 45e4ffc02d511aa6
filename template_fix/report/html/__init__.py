"""Puts what came of a command on a page of its own, for browsers: one file that needs no other, and runs nothing."""
