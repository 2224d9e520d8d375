"""The only parsing and validation of anything that a user supplies: every surface calls it."""
