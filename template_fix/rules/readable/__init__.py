"""What keeps a template from being tried at all."""
