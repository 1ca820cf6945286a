from bleepstore.testing.s3.areas.checksums import *
