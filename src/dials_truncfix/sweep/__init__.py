"""One sweep of images from dxtbx through the correction to files."""
