"""Objects as blobs on the local disk."""
