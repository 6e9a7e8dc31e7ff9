"""./dev bench connections: see __main__.py."""
