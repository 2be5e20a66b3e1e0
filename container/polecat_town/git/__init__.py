"""The store, private repositories, publishing."""
