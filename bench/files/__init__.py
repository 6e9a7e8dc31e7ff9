"""./dev bench files: see __main__.py."""
