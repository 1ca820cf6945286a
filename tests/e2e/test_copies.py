from bleepstore.testing.s3.areas.copies import *
