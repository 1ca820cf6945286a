from bleepstore.testing.s3.areas.listing import *
