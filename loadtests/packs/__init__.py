"""Packs of events that never happened, as large as one likes, and what verifying them costs."""
