"""What agents say and do, read from the towns for whoever looks."""
