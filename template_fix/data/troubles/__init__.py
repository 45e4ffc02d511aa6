"""What can be wrong with one row: its kinds, and what finds them in a rendering."""
