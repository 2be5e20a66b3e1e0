"""The oracle: watches a running system from outside, and tells which of the rules O1 to O8 broke."""
