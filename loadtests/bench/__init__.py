"""`make bench`: what a heartbeat costs, here and elsewhere, in one run on one machine."""
