"""Who is looking, what they may see and do, and what a browser is allowed to do in their name."""
