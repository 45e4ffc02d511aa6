"""Options in, one call, the exit code out."""

# The exit codes of all commands; `cli.options` says in words what the first three mean.
CLEAN, FINDINGS, FAILED, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141
