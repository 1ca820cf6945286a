"""Background tasks of the process with the writer role: what is dropped, abandoned, or to be told."""
