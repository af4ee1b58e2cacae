"""One sweep of images from dxtbx through the correction to files."""

from dials_truncfix.later_imports import import_later

# before anything of DIALS
import_later()
