"""./dev bench http: see __main__.py."""
