"""What templates are tried on: probes, rows of data, and conversations to show."""
