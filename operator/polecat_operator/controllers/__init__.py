"""One file for each kind of key: snapshot, decision, actions."""
