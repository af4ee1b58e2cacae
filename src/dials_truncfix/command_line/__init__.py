"""The commands: parse, call one library function, write, report."""

from dials_truncfix.later_imports import import_later

# before anything of DIALS
import_later()
