"""Size of a pixel on the specimen from periodic standards."""
