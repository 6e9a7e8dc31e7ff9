"""Why a benchmark does not report."""


class Refused(Exception):
    """A figure would be wrong or meaningless; the text says why. Nothing is written."""


class Missing(Exception):
    """Something that is needed is not installed or not built; the text says what."""
