from bleepstore.testing.s3.areas.multipart import *
