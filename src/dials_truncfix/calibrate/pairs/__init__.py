"""How images of one specimen are shifted, magnified and turned against each other."""
