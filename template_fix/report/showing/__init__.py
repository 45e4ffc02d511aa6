"""Renders conversations for ``show``: what is printed and dropped, the tokens, and what is trained on."""
