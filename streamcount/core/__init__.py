"""The pure part: what a viewer, a tick, a count and an entry are.

Nothing in this folder does input or output, asks for the time or draws a random number; time
arrives as an integer. A test enforces it.
"""
