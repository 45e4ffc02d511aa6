"""What a template loses or changes of conversations."""
