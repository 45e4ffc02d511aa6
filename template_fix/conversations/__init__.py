"""What templates are tried on."""
