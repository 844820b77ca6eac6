"""Documents for people: what was agreed beforehand, and what came of it; as text, and as pages to print."""
