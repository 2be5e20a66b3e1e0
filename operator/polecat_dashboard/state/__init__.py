"""What the cluster holds, as the page shows it: one watch for each kind, however many people look."""
