"""dxtbx format classes over :mod:`dials_truncfix.io`."""
