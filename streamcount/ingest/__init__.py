"""The public side: viewers' connections, and the ticks a worker holds until they are archived."""
