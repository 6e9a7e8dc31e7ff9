"""The classic server models side by side; see __main__.py."""
