"""What other engines make of a template; asked only where it is wanted, since it takes long."""
