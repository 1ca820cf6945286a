from bleepstore.testing.s3.areas.versions import *
