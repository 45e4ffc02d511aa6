"""Runs strangers' programs within limits of time and memory."""
