"""What happens inside of a template while it renders."""
