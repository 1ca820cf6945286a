from bleepstore.testing.s3.areas.presigned import *
