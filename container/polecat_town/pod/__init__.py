"""What the pod says of itself: Lease, entry in the Town, memory, the Kilo binary."""
