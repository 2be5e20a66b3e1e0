"""HTTP servers inside of a program: what town and dashboard share."""
