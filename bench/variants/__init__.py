"""./dev bench variants: see __main__.py."""
