"""What a town runs on: the objects that the operator makes for it, and what becomes of them."""
