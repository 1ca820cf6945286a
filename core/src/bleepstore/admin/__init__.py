"""What is not S3: health, and the schemas that the server serves of itself, below /_bleepstore/."""
