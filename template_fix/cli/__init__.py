"""Options in, one call, the exit code out."""
