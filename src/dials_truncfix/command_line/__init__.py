"""The commands: parse, call one library function, write, report."""
