"""The notary: drains the store, counts, writes the evidence, and only then publishes."""
